import { Buffer } from 'node:buffer';
import type { Relay } from '../../core/backend.ts';
import type { Caller } from '../../core/caller.ts';
import type { Decision } from '../../core/decision.ts';
import { AppError, type RateStatus } from '../../core/error.ts';
import { isJsonType } from '../../core/json-type.ts';
import { turnTimeMs } from '../../core/turn-clock.ts';
import { isAdminPath } from '../admin/admin-path.ts';
import { errorBody, errorLines } from '../openai/error-body.ts';
import type { ClientReply } from './client-reply.ts';
import { type Door, secretOf } from './door.ts';
import { headerLine } from './header-lines.ts';
import type { Incoming } from './incoming.ts';
import { rateLines } from './rate-lines.ts';
import { requestId } from './request-id.ts';
import { routeLine } from './route-header.ts';

/** What calls know of the configuration. */
export interface CallOptions {
  readonly corsOrigins: readonly string[];
  /** Where this gateway stands, if the configuration says. */
  readonly region?: string | undefined;
  /** Replies tell which deployment made them. */
  readonly routeHeader?: boolean;
  /** While true, every reply asks its client to close the connection. */
  readonly draining: () => boolean;
  readonly door: Door;
}

/** What web pages may read of replies. */
const EXPOSED_HEADERS = [
  'x-request-id, retry-after, retry-after-ms, x-qianmen-decision',
  'x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests',
  'x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens',
].join(', ');
const JSON_TYPE = headerLine('content-type', 'application/json');

/**
 * A client that is still sending what was refused may go on for this long: cutting it off at once could cost it the
 * answer.
 */
const LINGER_MS = 1_000;

/** One HTTP request and the way back, whoever reads the one and writes the other. */
export class Call {
  readonly requestId: string;
  readonly options: CallOptions;
  readonly client: ClientReply;
  /** Once there is one: of the gateway about this request. */
  decisionId: string | undefined;
  /** The reply is the last one on its connection. */
  close: boolean;
  /** Once it is known; undefined: nobody needs a key. */
  caller: Caller | undefined;
  /** Once the request is admitted: what its limits leave. */
  rate: RateStatus | undefined;
  readonly #receivedAtMs = turnTimeMs();
  readonly #incoming: Incoming;
  /** The web page that calls, if it may read the reply. */
  readonly #corsOrigin: string | undefined;
  #routeLine = '';

  constructor(incoming: Incoming, client: ClientReply, options: CallOptions) {
    this.#incoming = incoming;
    this.options = options;
    this.requestId = requestId(this.header('x-request-id'));
    this.client = client;
    this.close = options.draining();
    const origin = this.header('origin');
    if (origin !== undefined && allowsOrigin(options.corsOrigins, origin) && !isAdminPath(incoming.url))
      this.#corsOrigin = origin;
  }

  /** @param name In lower case. */
  header(name: string): string | undefined {
    return this.#incoming.header(name);
  }

  /**
   * Finds out who calls, without waiting where the key is known.
   *
   * @throws AppError `invalid_api_key`, `keys_unavailable`
   */
  identify(): undefined | Promise<void> {
    const found = this.options.door.authenticate(secretOf((name) => this.header(name)));
    if (found instanceof Promise)
      return found.then((caller) => {
        this.caller = caller;
      });
    this.caller = found;
    return undefined;
  }

  /** @throws AppError `unsupported_media_type`, `body_too_large`, `client_closed` */
  readJson(maxBytes: number): Buffer | Promise<Buffer> {
    const contentType = this.header('content-type') ?? '';
    if (!isJsonType(contentType)) {
      throw new AppError('unsupported_media_type', {
        message: `The content type must be application/json${contentType ? `, not ${contentType.slice(0, 100)}` : ''}.`,
      });
    }
    const encoding = this.header('content-encoding') ?? 'identity';
    if (encoding !== 'identity') {
      throw new AppError('unsupported_media_type', {
        message: `The content-encoding ${encoding.slice(0, 50)} is not supported: send the body uncompressed.`,
      });
    }
    return this.#incoming.body(maxBytes);
  }

  /** All is over: the body is of no use any more. */
  over(): void {
    this.#incoming.release();
  }

  /**
   * Sends the status, and the head with the first bytes of the body.
   *
   * @param lines Of the head: what this reply has beside those of every reply.
   * @param bodyBytes Without it the body goes in chunks.
   */
  start(status: number, lines: string, bodyBytes?: number): void {
    const { decisionId, rate } = this;
    let all = lines + this.corsLines() + this.#routeLine;
    if (decisionId !== undefined) all += `x-qianmen-decision: ${decisionId}\r\n`;
    if (rate !== undefined) all += rateLines(rate);
    const tookMs = Math.round(turnTimeMs() - this.#receivedAtMs);
    all += `x-request-id: ${this.requestId}\r\nopenai-processing-ms: ${tookMs}\r\n`;
    this.client.start(status, all, bodyBytes, this.close);
  }

  /** Of the head: what a web page needs in order to read the reply. */
  corsLines(): string {
    const origin = this.#corsOrigin;
    if (origin === undefined) return '';
    return `${headerLine('access-control-allow-origin', origin)}access-control-expose-headers: ${EXPOSED_HEADERS}\r\nvary: Origin\r\n`;
  }

  /** A reply that is there as a whole. */
  sendWhole(contentType: string, body: Uint8Array | string, status = 200): void {
    const { client } = this;
    this.startWhole(contentType, Buffer.byteLength(body), status);
    if (this.caller === undefined) {
      client.end(body);
      return;
    }
    // Not at once: what it costs is to be on record first.
    client.write(body);
    client.end();
  }

  /** Begins one whose bytes come later. */
  startWhole(contentType: string, sizeBytes?: number, status = 200): void {
    const type = contentType === 'application/json' ? JSON_TYPE : headerLine('content-type', contentType);
    this.start(status, type, sizeBytes);
  }

  /** A reply whose bytes pass through. */
  pass(relay: Relay): Promise<void> | void {
    const { whole } = relay;
    if (whole === undefined) return this.#pump(relay);
    this.sendWhole(relay.contentType, whole);
  }

  async #pump(relay: Relay): Promise<void> {
    this.startWhole(relay.contentType, relay.contentLength);
    await relay.pump(this.client);
    this.client.end();
  }

  /** For clients that may know: which deployment answers. Says nothing once the head is sent. */
  tellRoute(decision: Decision | undefined): void {
    if (decision !== undefined && this.options.routeHeader) this.#routeLine = routeLine(decision);
  }

  /** Tells the client what went wrong; a reply of which something is out already is broken off. */
  sendError(error: AppError): void {
    const { client } = this;
    if (client.signal.aborted) return;
    if (client.started && !client.takeBack()) {
      client.destroy();
      return;
    }
    const unread = error.code === 'body_too_large';
    if (unread) this.close = true;
    const body = JSON.stringify(errorBody(error));
    this.start(error.status, JSON_TYPE + errorLines(error), Buffer.byteLength(body));
    if (unread) this.#endLater(body);
    else client.end(body);
  }

  #endLater(body: string): void {
    this.client.write(body);
    const end = () => {
      clearTimeout(timer);
      this.client.end();
    };
    const timer = setTimeout(end, LINGER_MS);
    this.#incoming.discard(end);
  }
}

export function allowsOrigin(origins: readonly string[], origin: string): boolean {
  return origins.includes('*') || origins.includes(origin);
}

import type {
  Backend,
  BackendHealth,
  ConcurrencyBounds,
  Relay,
  RelayRequest,
  RunOptions,
} from '../core/backend.ts';
import { AppError } from '../core/error.ts';
import type { Emit } from '../core/event.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest, Requirement } from '../core/request.ts';
import type { Address } from './address.ts';
import { type Body, StreamBody, WholeBody } from './body.ts';
import { Connections } from './connections.ts';
import { decodeReply } from './decode-reply.ts';
import type { Exchange, ResponseHead } from './exchange.ts';
import { type CallOutcome, Health } from './health.ts';
import { mapFailedReply, type Secrets, secretsOf } from './map-error.ts';
import { startProbe } from './probe.ts';
import { readErrorBody } from './read-error-body.ts';
import { parseRetryAfter } from './retry-after.ts';
import { ServedModels } from './served-models.ts';
import { spliceBody } from './splice.ts';

export interface UpstreamOptions {
  readonly name: string;
  /** API root, such as http://10.0.0.5:8000/v1 */
  readonly url: string;
  /** Where to connect to, if not where the URL's name points. */
  readonly address?: Address;
  readonly apiKey?: string;
  /** What the server can do beyond text. Undefined: everything, and it refuses by itself what it cannot. */
  readonly capabilities?: readonly Requirement['capability'][];
  readonly timeouts?: Partial<UpstreamTimeouts>;
  /** Undefined: no limit. Requests beyond it wait for a connection. */
  readonly maxConnections?: number;
  /** Undefined: as many as come. */
  readonly concurrency?: ConcurrencyBounds;
  readonly probe?: {
    /** Below the API root. Default `/models`. */
    readonly path?: string;
    /** Default 10,000. */
    readonly intervalMs?: number;
    /** Default 2,000. */
    readonly timeoutMs?: number;
  };
  readonly emit: Emit;
  /** Monotonic milliseconds, on the clock of `Observation`. */
  readonly now?: () => number;
  readonly random?: () => number;
}

interface UpstreamTimeouts {
  /** Default 2,000. */
  readonly connectMs: number;
  /**
   * From the request to the first byte of a stream; default 30,000. A reply without `stream` comes when it is complete,
   * so that only `totalMs` bounds it.
   */
  readonly firstByteMs: number;
  /** Silence in the middle of a reply; default 30,000. */
  readonly idleMs: number;
  /** The whole reply; default 600,000. */
  readonly totalMs: number;
}

const DEFAULT_TIMEOUTS: UpstreamTimeouts = {
  connectMs: 2_000,
  firstByteMs: 30_000,
  idleMs: 30_000,
  totalMs: 600_000,
};

/** What may stand in a header and in a log line. */
const SAFE_ID = /^[\x21-\x7e]{1,200}$/;

export interface UpstreamBackend extends Backend {
  /** What the server last said that it serves; undefined until it has, or where it does not tell. */
  readonly served: readonly string[] | undefined;
  /** Of the expected models, those that it does not list. */
  readonly missing: readonly string[];
  /** While true it takes no new requests; running ones finish. */
  drained: boolean;
  /** The models that the configuration wants from it. */
  expect(models: readonly string[]): void;
}

/** A server that speaks the OpenAI dialect (vLLM, SGLang, a cloud). Must be closed. */
export function createUpstream(options: UpstreamOptions): UpstreamBackend {
  return new Upstream(options);
}

interface Opened {
  readonly status: number;
  readonly contentType: string;
  readonly contentLength: number | undefined;
  readonly body: Body;
}

class Upstream implements UpstreamBackend {
  readonly name: string;
  readonly kind = 'upstream';
  readonly concurrency: ConcurrencyBounds | undefined;
  readonly #capabilities: readonly Requirement['capability'][] | undefined;
  readonly #timeouts: UpstreamTimeouts;
  readonly #pathPrefix: string;
  readonly #headers: readonly string[];
  readonly #secrets: Secrets;
  readonly #connections: Connections;
  readonly #health: Health;
  readonly #models: ServedModels;
  readonly #stopProbe: () => Promise<void>;
  drained = false;
  #closed: Promise<void> | undefined;
  #inFlight = 0;

  constructor(options: UpstreamOptions) {
    const url = new URL(options.url);
    const now = options.now ?? (() => performance.now());
    const authorization = options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` };
    const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    this.#timeouts = timeouts;
    this.name = options.name;
    this.concurrency = options.concurrency;
    this.#capabilities = options.capabilities;
    this.#pathPrefix = url.pathname.replace(/\/+$/, '');
    this.#headers = Object.entries({
      'content-type': 'application/json',
      'user-agent': 'qianmen',
      ...authorization,
    }).flat();
    this.#secrets = secretsOf(url, options.apiKey);
    this.#connections = new Connections({
      origin: url.origin,
      address: options.address,
      connectMs: timeouts.connectMs,
      maxConnections: options.maxConnections,
      shortestLimitMs: Math.min(timeouts.firstByteMs, timeouts.idleMs, timeouts.totalMs),
      now,
    });
    this.#health = new Health({
      upstream: options.name,
      emit: options.emit,
      now,
      random: options.random ?? Math.random,
    });
    this.#models = new ServedModels((missing) =>
      options.emit({ type: 'upstream-models-missing', upstream: options.name, missing }),
    );
    this.#stopProbe = startProbe({
      origin: url.origin,
      address: options.address,
      path: this.#pathPrefix + (options.probe?.path ?? '/models'),
      headers: { 'user-agent': 'qianmen', ...authorization },
      intervalMs: options.probe?.intervalMs ?? 10_000,
      timeoutMs: options.probe?.timeoutMs ?? 2_000,
      health: this.#health,
      silentMs: timeouts.firstByteMs,
      // A reply that is not streamed has no first byte to wait for until it is complete: this is how its upstream is found hung.
      onSilent: () =>
        this.#connections.failUnanswered(
          new AppError('upstream_timeout', {
            cause: new Error('the upstream answers nothing, not even probes'),
          }),
        ),
      now,
      onModels: (models) => this.#models.listed(models),
    });
  }

  async relay(request: RelayRequest, options: RunOptions): Promise<Relay> {
    const { status, contentType, contentLength, body } = await this.#open(
      request,
      options,
      !request.includeUsage,
    );
    return {
      status,
      contentType,
      contentLength,
      observation: body.observation,
      pump: (sink) => body.pump(sink),
    };
  }

  async run(request: GenerateRequest, options: RunOptions): Promise<AsyncIterable<Part>> {
    const left = new AbortController();
    const signal = AbortSignal.any([options.signal, left.signal]);
    const { body } = await this.#open(request, { ...options, signal }, false);
    return stoppable(decodeReply(body, request), () => left.abort());
  }

  lacks(request: GenerateRequest): Requirement | undefined {
    const can = this.#capabilities;
    return can && request.requirements.find(({ capability }) => !can.includes(capability));
  }

  get served(): readonly string[] | undefined {
    return this.#models.served;
  }

  get missing(): readonly string[] {
    return this.#models.missing;
  }

  expect(models: readonly string[]): void {
    this.#models.expect(models);
  }

  health(): BackendHealth {
    const inFlight = this.#inFlight;
    if (this.drained) return { state: 'down', detail: 'drained by an operator', inFlight, queued: 0 };
    const health = { ...this.#health.snapshot(), inFlight, queued: 0 };
    const { missing } = this.#models;
    return missing.length === 0 ? health : { detail: `does not list ${missing.join(', ')}`, ...health };
  }

  /** Ends what still runs. */
  close(): Promise<void> {
    this.#closed ??= Promise.all([this.#stopProbe(), this.#connections.close()]).then(() => {});
    return this.#closed;
  }

  async #open(request: RelayRequest, options: RunOptions, hideUsage: boolean): Promise<Opened> {
    if (this.#closed !== undefined || this.drained)
      throw new AppError('model_unavailable', { nothingSent: true });
    const { signal } = options;
    const bytes = spliceBody(request.wire.body, { model: options.model, forceUsage: request.stream });
    const call = this.#health.begin();
    this.#inFlight += 1;
    const finish = (outcome: CallOutcome, detail?: string) => {
      this.#inFlight -= 1;
      call.end(outcome, detail);
    };
    const fail = (error: unknown) => finish(this.#outcomeOf(error, signal, status), detailOf(error));
    let status: number | undefined;
    try {
      const { exchange, head } = await this.#connections.open({
        path: this.#pathPrefix + request.wire.path,
        headers: this.#requestHeaders(request),
        body: bytes,
        limits: {
          ...this.#timeouts,
          firstByteMs: request.stream ? this.#timeouts.firstByteMs : this.#timeouts.totalMs,
        },
        signal,
      });
      status = head.status;
      if (status < 200 || status > 299) throw await this.#refusal(exchange, head);
      const contentType = headerOf(head, 'content-type') ?? '';
      if (!contentType.startsWith(request.stream ? 'text/event-stream' : 'application/json')) {
        const error = unexpectedReply(`HTTP ${status} with content type ${JSON.stringify(contentType)}`);
        exchange.fail(error);
        throw error;
      }
      const body = request.stream ? new StreamBody(exchange, { hideUsage }) : new WholeBody(exchange);
      exchange.consume(body);
      await body.begun;
      call.answered();
      body.finished.then(() => finish('ok'), fail);
      const length = request.stream
        ? Number.NaN
        : Number.parseInt(headerOf(head, 'content-length') ?? '', 10);
      return { status, contentType, contentLength: Number.isNaN(length) ? undefined : length, body };
    } catch (error) {
      fail(error);
      throw error;
    }
  }

  #requestHeaders(request: RelayRequest): string[] {
    const headers = [...this.#headers, 'accept', request.stream ? 'text/event-stream' : 'application/json'];
    if (SAFE_ID.test(request.id)) headers.push('x-request-id', request.id);
    return headers;
  }

  async #refusal(exchange: Exchange, head: ResponseHead): Promise<AppError> {
    const body = await readErrorBody(exchange);
    const retryAfterMs = parseRetryAfter(
      { retryAfter: headerOf(head, 'retry-after'), retryAfterMs: headerOf(head, 'retry-after-ms') },
      Date.now(),
    );
    return mapFailedReply({ status: head.status, body, retryAfterMs }, this.#secrets);
  }

  #outcomeOf(error: unknown, signal: AbortSignal, status: number | undefined): CallOutcome {
    if (signal.aborted || this.#closed !== undefined || !(error instanceof AppError)) return 'neutral';
    if (status !== undefined && status >= 300 && status < 500) return 'neutral';
    switch (error.code) {
      case 'upstream_unreachable':
        return status === undefined ? 'unreachable' : 'failed';
      case 'upstream_timeout':
        return status === undefined || status < 300 ? 'late' : 'failed';
      case 'upstream_error':
        return 'failed';
      default:
        return 'neutral';
    }
  }
}

function headerOf(head: ResponseHead, name: string): string | undefined {
  const value = head.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function unexpectedReply(detail: string): AppError {
  return new AppError('upstream_error', { cause: new Error(detail) });
}

function detailOf(error: unknown): string {
  const cause = error instanceof AppError ? error.cause : undefined;
  return cause instanceof Error ? cause.message : String(error);
}

/** The iterator's `return` calls `stop`, also before the first `next` and while a `next` is pending. */
function stoppable<T>(source: AsyncGenerator<T, void, void>, stop: () => void): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => source.next(),
      return: () => {
        stop();
        return source.return();
      },
    }),
  };
}

import type { Agent, IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { http } from '../../core/node-http.ts';
import type { Address } from '../http/address.ts';
import { upstreamNames } from '../http/name-lookup.ts';
import { ATTEMPT_MS, RELAYS_PROTOCOLS, serverAddress } from '../http/server-address.ts';

export interface InquiryOptions {
  readonly origin: string;
  /** Where to connect to, if not where the URL's name points. */
  readonly address: Address | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** An idle connection is kept for this long; 0: it is closed after the answer. */
  readonly keepMs: number;
}

export interface Answer {
  readonly statusCode: number;
  /** Undefined when it is too long. */
  readonly text: string | undefined;
}

const MOST_BODY_BYTES = 1024 * 1024;

/** Asks a server about itself, one question at a time, over a connection of its own: it never waits behind requests. */
export class Inquiry {
  readonly #agent: Agent;
  readonly #get: (path: string, signal: AbortSignal) => Promise<IncomingMessage>;

  constructor({ origin, address, headers, keepMs }: InquiryOptions) {
    const { host, port, isTls, tlsName } = serverAddress(origin, address);
    const kept = { keepAlive: keepMs > 0, maxSockets: 1, ...(keepMs > 0 ? { timeout: keepMs } : {}) };
    // A session that is resumed would say nothing of a certificate that has expired meanwhile.
    const agent = isTls ? new TlsAgent({ ...kept, maxCachedSessions: 0 }) : new http.Agent(kept);
    const request = isTls ? tlsRequest : http.request;
    const to = {
      host,
      port,
      lookup: upstreamNames.lookup,
      autoSelectFamilyAttemptTimeout: ATTEMPT_MS,
      servername: tlsName,
      ALPNProtocols: RELAYS_PROTOCOLS,
      headers: { host: new URL(origin).host, ...headers },
    };
    this.#agent = agent;
    this.#get = (path, signal) =>
      new Promise((resolve, reject) => {
        request({ ...to, agent, path, signal }, resolve)
          .on('error', reject)
          .end();
      });
  }

  /** @throws Error if there is no whole answer before the signal */
  async get(path: string, signal: AbortSignal): Promise<Answer> {
    const reply = await this.#get(path, signal);
    return { statusCode: reply.statusCode!, text: await textOf(reply) };
  }

  /** Also ends a question that is under way. */
  close(): void {
    this.#agent.destroy();
  }
}

async function textOf(reply: IncomingMessage): Promise<string | undefined> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of reply as AsyncIterable<Buffer>) {
    sizeBytes += piece.length;
    if (sizeBytes > MOST_BODY_BYTES) return undefined;
    pieces.push(piece);
  }
  // Leaves out a byte order mark.
  return new TextDecoder().decode(Buffer.concat(pieces));
}

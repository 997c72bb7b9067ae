import { Client, type Dispatcher, Pool } from 'undici';
import { AppError } from '../core/error.ts';
import { type Address, connectOption } from './address.ts';
import { CountingClient } from './counting-client.ts';
import { Exchange, type ExchangeLimits, type ResponseHead } from './exchange.ts';
import { Watchdog } from './watchdog.ts';

export interface ConnectionsOptions {
  readonly origin: string;
  readonly address: Address | undefined;
  readonly connectMs: number;
  readonly maxConnections: number | undefined;
  /** The shortest limit that exchanges will be given. */
  readonly shortestLimitMs: number;
  readonly now: () => number;
}

export interface OpenOptions {
  readonly path: string;
  readonly headers: string[];
  readonly body: Buffer;
  readonly limits: ExchangeLimits;
  readonly signal: AbortSignal;
}

/** Servers such as uvicorn close idle connections after 5 s: be gone before. */
const KEEP_ALIVE_MS = 4_000;
/** A connection that was stale all along fails at once; one that worked on the request for longer was not. */
const STALE_WITHIN_MS = 5_000;

/** The keep-alive connections to one upstream. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #clientOptions: Client.Options;
  readonly #pool: Pool;
  readonly #watchdog: Watchdog;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#clientOptions = {
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Ours count from other moments, and keep one timer for all.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: connectOption(options.connectMs, options.address),
    };
    this.#pool = new Pool(options.origin, {
      ...this.#clientOptions,
      connections: options.maxConnections ?? null,
      factory: (origin, clientOptions) => new CountingClient(origin, clientOptions as Client.Options),
    });
    this.#watchdog = new Watchdog(options.shortestLimitMs, options.now);
  }

  /**
   * Sends a POST. Resolves when the head of the response is there. A request that went to a connection which the server
   * had closed meanwhile (no byte came back) is sent once more, on a new one.
   *
   * @throws AppError
   */
  async open(options: OpenOptions): Promise<{ exchange: Exchange; head: ResponseHead }> {
    const first = this.#dispatch(this.#pool, options);
    try {
      return { exchange: first, head: await first.head };
    } catch (error) {
      if (!isStale(first, error as AppError) || options.signal.aborted) throw error;
    }
    const client = new Client(this.#options.origin, this.#clientOptions);
    const second = this.#dispatch(client, options);
    // Graceful: it goes when its only request is over.
    void client.close().catch(() => {});
    return { exchange: second, head: await second.head };
  }

  /** Ends every exchange that has not had one byte of an answer. */
  failUnanswered(error: AppError): void {
    this.#watchdog.failUnanswered(error);
  }

  /** Ends every exchange and destroys every connection. */
  async close(): Promise<void> {
    this.#watchdog.failAll(new AppError('model_unavailable'));
    await this.#pool.destroy();
  }

  #dispatch(dispatcher: Dispatcher, options: OpenOptions): Exchange {
    const { limits, signal, path, headers, body } = options;
    const exchange = new Exchange({ limits, signal, watchdog: this.#watchdog, now: this.#options.now });
    if (!signal.aborted) {
      dispatcher.dispatch({ method: 'POST', path, headers, body, idempotent: false }, exchange);
    }
    return exchange;
  }
}

function isStale(exchange: Exchange, error: AppError): boolean {
  const broken = error.code === 'upstream_error' && exchange.sent && !exchange.responded;
  return broken && exchange.reused && exchange.ageMs < STALE_WITHIN_MS;
}

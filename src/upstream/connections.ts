import { Client, Pool } from 'undici';
import { AppError } from '../core/error.ts';
import { type Address, connectOption } from './address.ts';
import { CountingClient } from './counting-client.ts';
import { Exchange, type ExchangeHost, type ExchangeOptions } from './exchange.ts';
import { abortError } from './map-error.ts';
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

/** Servers such as uvicorn close idle connections after 5 s: be gone before. */
const KEEP_ALIVE_MS = 4_000;

/** The keep-alive connections to one upstream. */
export class Connections implements ExchangeHost {
  readonly watchdog: Watchdog;
  readonly now: () => number;
  readonly #origin: string;
  readonly #clientOptions: Client.Options;
  readonly #pool: Pool;

  constructor({ origin, address, connectMs, maxConnections, shortestLimitMs, now }: ConnectionsOptions) {
    this.now = now;
    this.#origin = origin;
    this.#clientOptions = {
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Ours count from other moments, and keep one timer for all.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: connectOption(connectMs, address),
    };
    this.#pool = new Pool(origin, {
      ...this.#clientOptions,
      connections: maxConnections ?? null,
      factory: (origin, clientOptions) => new CountingClient(origin, clientOptions as Client.Options),
    });
    this.watchdog = new Watchdog(shortestLimitMs, now);
  }

  /** Sends a request. Its reader is told everything, also that nothing could be sent. */
  send(options: ExchangeOptions): void {
    if (options.signal.aborted) options.reader.onFailure(abortError(options.signal));
    else this.#pool.dispatch(options.request, new Exchange(options, this));
  }

  sendAnew(exchange: Exchange): void {
    const client = new Client(this.#origin, this.#clientOptions);
    client.dispatch(exchange.request, exchange);
    // Graceful: it goes when its only request is over.
    void client.close().catch(() => {});
  }

  /** Ends every exchange that has not had one byte of an answer. */
  failUnanswered(error: AppError): void {
    this.watchdog.failUnanswered(error);
  }

  /** Ends every exchange and destroys every connection. */
  async close(): Promise<void> {
    this.watchdog.failAll(new AppError('model_unavailable'));
    await this.#pool.destroy();
  }
}

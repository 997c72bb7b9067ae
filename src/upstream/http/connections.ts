import { abortError } from '../../core/abort-error.ts';
import { AppError } from '../../core/error.ts';
import type { Address } from './address.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { Exchange, type ExchangeHost, type ExchangeOptions } from './exchange.ts';
import { serverAddress } from './server-address.ts';
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
export const KEEP_ALIVE_MS = 4_000;
/** Where a server says for how long it keeps them: be gone this much earlier. */
const MARGIN_MS = 2_000;
const MAX_KEEP_ALIVE_MS = 600_000;
const SWEEP_MS = 1_000;

/** The keep-alive connections to one upstream. */
export class Connections implements ExchangeHost {
  readonly watchdog: Watchdog;
  readonly now: () => number;
  readonly #host: ConnectionHost;
  readonly #maxConnections: number;
  readonly #open = new Set<Connection>();
  /** The one that was used last comes last, and is used first. */
  readonly #idle: Connection[] = [];
  #waiting: Exchange[] = [];
  #sweep: NodeJS.Timeout | undefined;

  constructor({ origin, address, connectMs, maxConnections, shortestLimitMs, now }: ConnectionsOptions) {
    const server = serverAddress(origin, address);
    this.now = now;
    this.#maxConnections = maxConnections ?? Number.POSITIVE_INFINITY;
    this.#host = {
      server,
      connectMs,
      idle: (connection) => this.#keep(connection),
      gone: (connection) => this.#forget(connection),
    };
    this.watchdog = new Watchdog(shortestLimitMs, now);
  }

  /** Sends a request. Its reader is told everything, including that nothing could be sent. */
  send(options: ExchangeOptions): void {
    if (options.signal.aborted) options.reader.onFailure(abortError(options.signal));
    else this.#place(new Exchange(options, this));
  }

  /** Beyond the bound on connections, and for this exchange alone. */
  sendAnew(exchange: Exchange): void {
    new Connection(
      {
        server: this.#host.server,
        connectMs: this.#host.connectMs,
        idle: (only) => only.destroy(),
        gone() {},
      },
      exchange,
    );
  }

  /** Ends every exchange that had started by then and has not had one byte of an answer. */
  failUnanswered(error: AppError, untilMs: number): void {
    this.watchdog.failUnanswered(error, untilMs);
  }

  /** Ends every exchange and destroys every connection. */
  close(): void {
    this.watchdog.failAll(new AppError('shutting_down'));
    for (const connection of [...this.#open]) connection.destroy();
  }

  #place(exchange: Exchange): void {
    const connection = this.#takeIdle();
    if (connection !== undefined) connection.carry(exchange);
    else if (this.#open.size < this.#maxConnections) this.#open.add(new Connection(this.#host, exchange));
    else this.#waiting.push(exchange);
  }

  #takeIdle(): Connection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || this.now() < connection.idleUntilMs) return connection;
      connection.destroy();
    }
  }

  #keep(connection: Connection): void {
    const next = this.#nextWaiting();
    if (next !== undefined) {
      connection.carry(next);
      return;
    }
    const keptMs = keepAliveMs(connection.keepAliveMs);
    if (keptMs <= 0) {
      connection.destroy();
      return;
    }
    connection.idleUntilMs = this.now() + keptMs;
    this.#idle.push(connection);
    this.#sweep ??= setInterval(() => this.#closeIdle(), SWEEP_MS).unref();
  }

  #forget(connection: Connection): void {
    this.#open.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    const next = this.#nextWaiting();
    if (next !== undefined) this.#place(next);
  }

  /** The first that has not been given up in the meantime. */
  #nextWaiting(): Exchange | undefined {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined || !next.over) return next;
    }
  }

  #closeIdle(): void {
    const nowMs = this.now();
    for (const connection of this.#idle.filter(({ idleUntilMs }) => nowMs >= idleUntilMs))
      connection.destroy();
    if (this.#idle.length > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

function keepAliveMs(told: number | undefined): number {
  return told === undefined ? KEEP_ALIVE_MS : Math.min(told - MARGIN_MS, MAX_KEEP_ALIVE_MS);
}

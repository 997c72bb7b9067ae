import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { AppError } from '../core/error.ts';
import { abortError, mapTransportError, timedOut } from './map-error.ts';
import type { Watchdog, Watched } from './watchdog.ts';

/** Milliseconds; each starts anew only where it says so. */
export interface ExchangeLimits {
  /** Until the first byte of the body, from the start. */
  readonly firstByteMs: number;
  /** Between two reads of the body, unless we paused it ourselves. */
  readonly idleMs: number;
  readonly totalMs: number;
}

/** The connection that an exchange runs on. */
export interface Carrier {
  /** Since it was opened. */
  requestsOnConnection: number;
}

export interface ResponseHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** Who reads the response. All calls come straight from the parser, `onEnd` or `onFailure` last and once. */
export interface Reader {
  onHead(exchange: Exchange, head: ResponseHead): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onFailure(error: AppError): void;
}

export interface ExchangeOptions {
  readonly request: Dispatcher.DispatchOptions;
  readonly limits: ExchangeLimits;
  readonly signal: AbortSignal;
  readonly reader: Reader;
}

/** What the exchanges of one upstream share. */
export interface ExchangeHost {
  readonly watchdog: Watchdog;
  readonly now: () => number;
  /** Sends the request of an exchange over a new connection. */
  sendAnew(exchange: Exchange): void;
}

/** A connection that was stale all along fails at once; one that worked on the request for longer was not. */
const STALE_WITHIN_MS = 5_000;

const NOBODY: Reader = { onHead() {}, onData() {}, onEnd() {}, onFailure() {} };

/**
 * One HTTP request and its response, with deadlines and an abort that destroys the connection at once. What the
 * connection brings goes to the reader unbuffered. A request that went to a connection which the server had closed
 * meanwhile (no byte came back) is sent once more, on a new one.
 */
export class Exchange implements Dispatcher.DispatchHandler, Watched {
  readonly request: Dispatcher.DispatchOptions;
  /** Set by the client that carries the request. */
  carrier: Carrier | undefined;
  /** Anything at all came back. */
  responded = false;
  watchIndex = -1;

  readonly #host: ExchangeHost;
  readonly #limits: ExchangeLimits;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  readonly #startedAtMs: number;
  #reader: Reader;
  #totalDeadlineMs: number;
  /** The request was handed to a connection. */
  #sent = false;
  /** That connection had carried an earlier request. */
  #reused = false;
  #sentAnew = false;
  #bodyBegun = false;
  /** Something was read since the last look. */
  #active = false;
  #lastActiveAtMs = 0;
  #controller: Dispatcher.DispatchController | undefined;
  #over = false;

  constructor({ request, limits, signal, reader }: ExchangeOptions, host: ExchangeHost) {
    this.request = request;
    this.#limits = limits;
    this.#signal = signal;
    this.#reader = reader;
    this.#host = host;
    this.#startedAtMs = host.now();
    this.#totalDeadlineMs = this.#startedAtMs + limits.totalMs;
    // By way of a local: V8 puts a function that is assigned straight to a property into old space, where it would keep
    // every finished request alive until a full collection. Node does that to listeners that are objects.
    const onAbort = () => this.fail(abortError(signal));
    this.#onAbort = onAbort;
    signal.addEventListener('abort', onAbort, { once: true });
    host.watchdog.add(this);
  }

  /** Somebody else reads from here on. */
  handOver(reader: Reader): void {
    this.#reader = reader;
  }

  /** The upstream is told to wait; what it sent before may still come. */
  hold(): void {
    this.#controller?.pause();
  }

  release(): void {
    this.#active = true;
    this.#controller?.resume();
  }

  /** Ends the exchange and destroys its connection. */
  fail(error: AppError): void {
    if (this.#over) return;
    this.#leave();
    this.#controller?.abort(error);
    this.#reader.onFailure(error);
  }

  /** Whatever the limits say, it ends within `graceMs`. */
  expire(graceMs: number): void {
    this.#totalDeadlineMs = Math.min(this.#totalDeadlineMs, this.#host.now() + graceMs);
  }

  /** Nobody reads the rest: it may end by itself within `graceMs`, so that the connection can serve again. */
  discard(graceMs: number): void {
    this.expire(graceMs);
    this.#reader = NOBODY;
    this.release();
  }

  check(nowMs: number): void {
    const { firstByteMs, idleMs, totalMs } = this.#limits;
    if (this.#active) {
      this.#active = false;
      this.#lastActiveAtMs = nowMs;
    }
    if (nowMs > this.#totalDeadlineMs) this.fail(timedOut('the whole reply', totalMs));
    else if (!this.#bodyBegun) {
      if (nowMs > this.#startedAtMs + firstByteMs) this.fail(timedOut('the first byte', firstByteMs));
    } else if (this.#controller?.paused !== true && nowMs > this.#lastActiveAtMs + idleMs) {
      this.fail(timedOut('the next byte', idleMs));
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) {
      controller.abort(new Error('ended before it was sent'));
      return;
    }
    this.#sent = true;
    if (this.carrier === undefined) return;
    this.#reused = this.carrier.requestsOnConnection > 0;
    this.carrier.requestsOnConnection += 1;
  }

  onResponseStarted(): void {
    this.responded = true;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (status >= 200 && !this.#over) this.#reader.onHead(this, { status, headers });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return;
    this.#bodyBegun = true;
    this.#active = true;
    this.#reader.onData(chunk);
  }

  onResponseEnd(): void {
    if (this.#over) return;
    this.#leave();
    this.#reader.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#over) return;
    if (this.#isStale) this.#sendAnew();
    else this.fail(mapTransportError(error, this.#sent));
  }

  get #isStale(): boolean {
    return (
      this.#reused &&
      !this.responded &&
      !this.#sentAnew &&
      this.#host.now() - this.#startedAtMs < STALE_WITHIN_MS
    );
  }

  #sendAnew(): void {
    this.#sentAnew = true;
    this.#sent = false;
    this.#controller = undefined;
    this.carrier = undefined;
    this.#host.sendAnew(this);
  }

  #leave(): void {
    this.#over = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#host.watchdog.delete(this);
  }
}

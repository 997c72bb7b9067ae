import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { AppError } from '../core/error.ts';
import { abortError, mapTransportError } from './map-error.ts';
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

/** Who reads the body. Called with everything that one read of the socket brought, never before `consume`. */
export interface BodyConsumer {
  onData(bytes: Buffer, readAtMs: number): void;
  onEnd(): void;
  onFailure(error: AppError): void;
}

/** Read ahead while nobody consumes yet. */
const EARLY_BYTES = 64 * 1024;

/**
 * One HTTP request and its response on one connection, with deadlines and an abort that destroys the connection at
 * once.
 *
 *   undici chunk ─┐
 *   undici chunk ─┼─ queue ── microtask ── consumer.onData, once per socket read
 *   undici chunk ─┘             (not while held: then undici is paused too)
 */
export class Exchange implements Dispatcher.DispatchHandler, Watched {
  readonly head: Promise<ResponseHead>;
  /** Set by the client that carries the request. */
  carrier: Carrier | undefined;
  /** Anything at all came back. */
  responded = false;
  /** The connection had carried an earlier request. */
  reused = false;
  /** The request was handed to a connection. */
  sent = false;

  watchIndex = -1;

  readonly #limits: ExchangeLimits;
  readonly #signal: AbortSignal;
  readonly #watchdog: Watchdog;
  readonly #now: () => number;
  readonly #onAbort: () => void;
  readonly #head = Promise.withResolvers<ResponseHead>();
  readonly #startedAtMs: number;
  #totalDeadlineMs: number;
  #lastReadAtMs = 0;
  #bodyBegun = false;
  #controller: Dispatcher.DispatchController | undefined;
  #consumer: BodyConsumer | undefined;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #held = false;
  #scheduled = false;
  #ended = false;
  #failure: AppError | undefined;
  #toldEnd = false;

  constructor(options: {
    limits: ExchangeLimits;
    signal: AbortSignal;
    watchdog: Watchdog;
    now: () => number;
  }) {
    this.#limits = options.limits;
    this.#signal = options.signal;
    this.#watchdog = options.watchdog;
    this.#now = options.now;
    this.#startedAtMs = this.#now();
    this.#totalDeadlineMs = this.#startedAtMs + this.#limits.totalMs;
    this.head = this.#head.promise;
    this.head.catch(() => {});
    // By way of a local: V8 puts a function that is assigned straight to a property into old space, where it would keep
    // every finished request alive until a full collection.
    const onAbort = () => this.#giveUp(abortError(this.#signal));
    this.#onAbort = onAbort;
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#watchdog.add(this);
    if (this.#signal.aborted) this.#onAbort();
  }

  get ageMs(): number {
    return this.#now() - this.#startedAtMs;
  }

  consume(consumer: BodyConsumer): void {
    this.#consumer = consumer;
    this.#resumeUpstream();
    this.#schedule();
  }

  /** Nothing more is delivered until `release`, and the upstream is told to wait. */
  hold(): void {
    this.#held = true;
    this.#controller?.pause();
  }

  release(): void {
    this.#held = false;
    this.#lastReadAtMs = this.#now();
    this.#resumeUpstream();
    this.#schedule();
  }

  /** Ends the exchange and destroys its connection. The consumer still gets what came before, then the error. */
  fail(error: AppError): void {
    if (this.#ended || this.#failure !== undefined) return;
    this.#failure = error;
    if (this.#consumer === undefined) this.#settle();
    this.#head.reject(error);
    this.#controller?.abort(error);
    this.#schedule();
  }

  /** Whatever the limits say, it ends within `graceMs`. */
  expire(graceMs: number): void {
    this.#totalDeadlineMs = Math.min(this.#totalDeadlineMs, this.#now() + graceMs);
  }

  /** Nobody reads the rest: it may end by itself within `graceMs`, so that the connection can serve again. */
  discard(graceMs: number): void {
    this.expire(graceMs);
    this.#consumer = { onData() {}, onEnd() {}, onFailure() {} };
    if (this.#held) this.release();
    this.#resumeUpstream();
  }

  check(nowMs: number): void {
    if (nowMs > this.#totalDeadlineMs) this.#giveUp(timeout('the whole reply', this.#limits.totalMs));
    if (this.#ended || this.#failure !== undefined) return;
    if (!this.#bodyBegun) {
      const late = nowMs > this.#startedAtMs + this.#limits.firstByteMs;
      if (late) this.fail(timeout('the first byte', this.#limits.firstByteMs));
    } else if (!this.#paused && nowMs > this.#lastReadAtMs + this.#limits.idleMs) {
      this.fail(timeout('the next byte', this.#limits.idleMs));
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure !== undefined) {
      controller.abort(this.#failure);
      return;
    }
    this.sent = true;
    this.reused = (this.carrier?.requestsOnConnection ?? 0) > 0;
    if (this.carrier !== undefined) this.carrier.requestsOnConnection += 1;
  }

  onResponseStarted(): void {
    this.responded = true;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (status < 200) return;
    this.#head.resolve({ status, headers });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#bodyBegun) this.#lastReadAtMs = this.#now();
    this.#bodyBegun = true;
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#consumer === undefined && this.#queuedBytes > EARLY_BYTES) controller.pause();
    this.#schedule();
  }

  onResponseEnd(): void {
    if (this.#failure !== undefined) return;
    this.#ended = true;
    this.#schedule();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.fail(mapTransportError(error, this.sent));
  }

  get #paused(): boolean {
    return this.#held || this.#controller?.paused === true;
  }

  #resumeUpstream(): void {
    if (!this.#held) this.#controller?.resume();
  }

  /** As `fail`, but at once: nobody is left to read what came before, or the reader takes too long. */
  #giveUp(error: AppError): void {
    if (this.#toldEnd) return;
    this.#queue = [];
    this.#held = false;
    this.#ended = false;
    this.#failure = undefined;
    this.fail(error);
  }

  #settle(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#watchdog.delete(this);
  }

  #schedule(): void {
    if (this.#scheduled || this.#consumer === undefined) return;
    this.#scheduled = true;
    queueMicrotask(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#held || this.#consumer === undefined || this.#toldEnd) return;
    if (this.#queue.length > 0) {
      const bytes = this.#queue.length === 1 ? this.#queue[0]! : Buffer.concat(this.#queue);
      this.#queue = [];
      this.#queuedBytes = 0;
      this.#lastReadAtMs = this.#now();
      this.#consumer.onData(bytes, this.#lastReadAtMs);
      if (this.#held) return;
    }
    if (this.#failure !== undefined) {
      this.#toldEnd = true;
      this.#settle();
      this.#consumer.onFailure(this.#failure);
    } else if (this.#ended && this.#queue.length === 0) {
      this.#toldEnd = true;
      this.#settle();
      this.#consumer.onEnd();
    }
  };
}

function timeout(what: string, limitMs: number): AppError {
  return new AppError('upstream_timeout', { cause: new Error(`waited more than ${limitMs} ms for ${what}`) });
}

import { abortError } from '../../core/abort-error.ts';
import { holdBody, releaseBody } from '../../core/body-memory.ts';
import type { AppError } from '../../core/error.ts';
import { offAbort, onAbort } from '../../core/on-abort.ts';
import { timedOut } from '../errors/server-faults.ts';
import type { SentRequest } from './connection.ts';
import type { ParsedHead } from './response-head.ts';
import type { ResponseListener } from './response-parser.ts';
import { transportFailure } from './transport-failure.ts';
import type { Watchdog, Watched } from './watchdog.ts';

/** All but `idleMs` count from the start of the exchange. */
export interface ExchangeLimits {
  /** Until the first byte of the body, from the start. */
  readonly firstByteMs: number;
  /** Between two reads of the body, unless we paused it ourselves. */
  readonly idleMs: number;
  readonly totalMs: number;
}

/** The connection that an exchange runs on. */
export interface Carrier {
  /** It has carried another one before. */
  readonly reused: boolean;
  readonly held: boolean;
  hold(): void;
  release(): void;
  destroy(): void;
}

export type ResponseHead = Pick<ParsedHead, 'status' | 'headers'>;

/** Reads the response. All calls come straight from the parser; `onEnd` or `onFailure` is the last, and comes once. */
export interface Reader {
  onHead(exchange: Exchange, head: ResponseHead): void;
  /** @param chunk All that one read of the connection brought of the body; the reader's to keep. */
  onData(chunk: Buffer): void;
  onEnd(): void;
  onFailure(error: AppError): void;
}

export interface ExchangeOptions {
  readonly request: SentRequest;
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

/** A connection that was stale all along fails soon after the request was sent; one that worked on it for longer was not. */
const STALE_WITHIN_MS = 5_000;
const REQUEST_TIMEOUT = 408;

const NOBODY: Reader = { onHead() {}, onData() {}, onEnd() {}, onFailure() {} };

/**
 * One HTTP request and its response, with deadlines and an abort that destroys the connection at once. What the
 * connection brings goes to the reader unbuffered. A request that went to a connection which the server had closed
 * meanwhile (no byte came back, or the server takes its leave) is sent once more, on a new one.
 */
export class Exchange implements ResponseListener, Watched {
  readonly request: SentRequest;
  /** Anything at all came back. */
  responded = false;
  watchIndex = -1;
  readonly startedAtMs: number;

  readonly #host: ExchangeHost;
  readonly #limits: ExchangeLimits;
  readonly #signal: AbortSignal;
  readonly #leaveOnAbort: () => void;
  #reader: Reader;
  readonly #totalDeadlineMs: number;
  /** The grace that it was last given ends. */
  #expiresAtMs = Number.POSITIVE_INFINITY;
  /** The request was handed to a connection. */
  #sent = false;
  /** That connection had carried an earlier request. */
  #reused = false;
  /** Of a request that goes over such a one; it may have waited for that. */
  #sentAtMs = 0;
  #sentAnew = false;
  #bodyBegun = false;
  /** Something has been read since the last check. */
  #active = false;
  #lastActiveAtMs = 0;
  #carrier: Carrier | undefined;
  #over = false;

  constructor({ request, limits, signal, reader }: ExchangeOptions, host: ExchangeHost) {
    this.request = request;
    this.#limits = limits;
    this.#signal = signal;
    this.#reader = reader;
    this.#host = host;
    this.startedAtMs = host.now();
    this.#totalDeadlineMs = this.startedAtMs + limits.totalMs;
    // By way of a local: V8 puts a function that is assigned straight to a property into old space, where it would keep
    // every finished request alive until a full collection.
    const leave = () => this.fail(abortError(signal));
    this.#leaveOnAbort = leave;
    onAbort(signal, leave);
    host.watchdog.add(this);
    for (const piece of request.body) holdBody(piece);
  }

  /** Somebody else reads from here on. */
  handOver(reader: Reader): void {
    this.#reader = reader;
  }

  /** The upstream is told to wait; what it sent before may still come. */
  hold(): void {
    this.#carrier?.hold();
  }

  release(): void {
    this.#active = true;
    this.#carrier?.release();
  }

  /** Ends the exchange and destroys its connection. */
  fail(error: AppError): void {
    if (this.#over) return;
    this.#leave();
    this.#carrier?.destroy();
    this.#reader.onFailure(error);
  }

  /** Whatever the limits say, it ends within `graceMs`, unless it is given a longer grace meanwhile. */
  expire(graceMs: number): void {
    this.#expiresAtMs = this.#host.now() + graceMs;
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
    if (nowMs > Math.min(this.#totalDeadlineMs, this.#expiresAtMs))
      this.fail(timedOut('the whole reply', totalMs));
    else if (!this.#bodyBegun) {
      if (nowMs > this.startedAtMs + firstByteMs) this.fail(timedOut('the first byte', firstByteMs));
    } else if (this.#carrier?.held !== true && nowMs > this.#lastActiveAtMs + idleMs) {
      this.fail(timedOut('the next byte', idleMs));
    }
  }

  /** It has ended, in whichever way: nothing more is to be sent for it. */
  get over(): boolean {
    return this.#over;
  }

  get activeAtMs(): number {
    return this.#active ? this.#host.now() : this.#lastActiveAtMs;
  }

  /** The request goes out now. */
  sentOver(carrier: Carrier): void {
    this.#carrier = carrier;
    this.#sent = true;
    this.#reused = carrier.reused;
    if (this.#reused) this.#sentAtMs = this.#host.now();
  }

  /** The connection has failed, or never came about. */
  carrierFailed(error: Error): void {
    if (this.#over) return;
    if (!this.responded && this.#mayBeStale) this.#sendAnew();
    else this.fail(transportFailure(error, this.#sent));
  }

  /** Anything at all came back. */
  responseBegan(): void {
    this.responded = true;
  }

  onHead(head: ParsedHead): void {
    if (this.#over) return;
    if (isLeave(head) && this.#mayBeStale) {
      this.#carrier?.destroy();
      this.#sendAnew();
    } else this.#reader.onHead(this, head);
  }

  onData(bytes: Buffer): void {
    if (this.#over) return;
    this.#bodyBegun = true;
    this.#active = true;
    this.#reader.onData(bytes);
  }

  onEnd(): void {
    if (this.#over) return;
    this.#leave();
    // It may carry another exchange from here on.
    this.#carrier = undefined;
    try {
      this.#reader.onEnd();
    } catch (error) {
      // Nobody else tells the reader any more.
      this.#reader.onFailure(transportFailure(error as Error, true));
    }
  }

  get #mayBeStale(): boolean {
    return this.#reused && !this.#sentAnew && this.#host.now() - this.#sentAtMs < STALE_WITHIN_MS;
  }

  #sendAnew(): void {
    this.#sentAnew = true;
    this.responded = false;
    this.#sent = false;
    this.#carrier = undefined;
    this.#host.sendAnew(this);
  }

  #leave(): void {
    this.#over = true;
    offAbort(this.#signal, this.#leaveOnAbort);
    this.#host.watchdog.delete(this);
    // What is not sent by now never will be: the connection goes with it.
    for (const piece of this.request.body) releaseBody(piece);
  }
}

/**
 * Some servers close an idle connection with a word, which a request may meet on its way: they have waited for one, and
 * have read none (RFC 9110 section 15.5.9).
 */
function isLeave({ status, keepAlive }: ParsedHead): boolean {
  return status === REQUEST_TIMEOUT && !keepAlive;
}

import type { AppError } from '../core/error.ts';

/** Something that must not take for ever. */
export interface Watched {
  /** Ends what has run out of time. */
  check(nowMs: number): void;
  fail(error: AppError): void;
}

/**
 * One coarse timer for all running exchanges of an upstream, in place of a timer per chunk. It stands still while
 * nothing runs and keeps no process alive.
 */
export class Watchdog {
  readonly #watched = new Set<Watched>();
  readonly #tickMs: number;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  /** @param shortestMs The shortest limit to keep; it is met within an eighth of it, or half a second. */
  constructor(shortestMs: number, now: () => number) {
    this.#tickMs = Math.min(Math.max(Math.floor(shortestMs / 8), 5), 500);
    this.#now = now;
  }

  add(watched: Watched): void {
    this.#watched.add(watched);
    // After a pause of the event loop the timer comes first: let what has arrived meanwhile be read before judging.
    this.#timer ??= setInterval(() => setImmediate(() => this.#tick()), this.#tickMs).unref();
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched);
    if (this.#watched.size === 0) this.#stop();
  }

  failAll(error: AppError): void {
    for (const watched of this.#watched) watched.fail(error);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const nowMs = this.#now();
    for (const watched of this.#watched) watched.check(nowMs);
  }
}

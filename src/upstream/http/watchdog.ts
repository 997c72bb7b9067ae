import type { AppError } from '../../core/error.ts';

/** Something that must not take for ever. */
export interface Watched {
  /** Where the watchdog keeps it; its own affair. */
  watchIndex: number;
  readonly startedAtMs: number;
  /** Anything at all came back. */
  readonly responded: boolean;
  /** When something last came of it; 0 if nothing has. */
  readonly activeAtMs: number;
  /** Ends what has run out of time. */
  check(nowMs: number): void;
  fail(error: AppError): void;
}

/**
 * One coarse timer for all running exchanges of an upstream, in place of a timer per chunk. It stands still while
 * nothing runs and keeps no process alive.
 *
 * An array, not a Set: a Set's table, replaced as requests come and go, chains to its successors and so keeps what was in it
 * alive for long after it was deleted.
 */
export class Watchdog {
  readonly #watched: Watched[] = [];
  readonly #tickMs: number;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  /** @param shortestMs The shortest limit to keep; it is met within an eighth of it, or half a second. */
  constructor(shortestMs: number, now: () => number) {
    this.#tickMs = Math.min(Math.max(Math.floor(shortestMs / 8), 5), 500);
    this.#now = now;
  }

  add(watched: Watched): void {
    watched.watchIndex = this.#watched.push(watched) - 1;
    // After a pause of the event loop the timer comes first: let what has arrived meanwhile be read before judging.
    this.#timer ??= setInterval(() => setImmediate(() => this.#tick()), this.#tickMs).unref();
  }

  delete(watched: Watched): void {
    const index = watched.watchIndex;
    if (index < 0) return;
    watched.watchIndex = -1;
    const last = this.#watched.pop()!;
    if (last !== watched) {
      this.#watched[index] = last;
      last.watchIndex = index;
    }
    if (this.#watched.length === 0) this.#stop();
  }

  /** When something last came of any. */
  get activeAtMs(): number {
    let lastMs = 0;
    this.#forEach(({ activeAtMs }) => {
      lastMs = Math.max(lastMs, activeAtMs);
    });
    return lastMs;
  }

  failAll(error: AppError): void {
    this.#forEach((watched) => watched.fail(error));
  }

  /** @param untilMs Those that have started later are left alone. */
  failUnanswered(error: AppError, untilMs: number): void {
    this.#forEach((watched) => {
      if (!watched.responded && watched.startedAtMs <= untilMs) watched.fail(error);
    });
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const nowMs = this.#now();
    this.#forEach((watched) => watched.check(nowMs));
  }

  /** From the end, since one that ends gives its place to the last. */
  #forEach(visit: (watched: Watched) => void): void {
    for (let i = this.#watched.length - 1; i >= 0; i--) {
      const watched = this.#watched[i];
      if (watched !== undefined) visit(watched);
    }
  }
}

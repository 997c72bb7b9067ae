import type { RateLeft } from '../core/error.ts';

const MINUTE_MS = 60_000;

/**
 * Counts what was used of a limit per minute: what is in the bucket runs out at the limit's rate, and what would not fit is refused. After a
 * quiet minute all of the limit may be used at once (Turner's leaky bucket as a meter).
 */
export class LeakyBucket {
  #level = 0;
  #atMs = 0;
  #perMinute = 1;

  isEmpty(nowMs: number): boolean {
    return this.#levelAt(nowMs) === 0;
  }

  /** Until so much fits; 0: it does now. */
  waitMs(amount: number, perMinute: number, nowMs: number): number {
    this.#perMinute = perMinute;
    const excess = this.#levelAt(nowMs) + amount - perMinute;
    return excess <= TINY ? 0 : Math.max(1, Math.ceil((excess / perMinute) * MINUTE_MS));
  }

  /** @param amount Negative: it was not used after all. */
  add(amount: number, perMinute: number, nowMs: number): void {
    this.#perMinute = perMinute;
    this.#level = Math.max(0, this.#levelAt(nowMs) + amount);
    this.#atMs = nowMs;
  }

  left(perMinute: number, nowMs: number): RateLeft {
    const level = this.#levelAt(nowMs);
    return {
      limit: perMinute,
      remaining: Math.max(0, Math.floor(perMinute - level + TINY)),
      resetMs: Math.ceil((level / perMinute) * MINUTE_MS),
    };
  }

  #levelAt(nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    return Math.max(0, this.#level - (passedMs / MINUTE_MS) * this.#perMinute);
  }
}

/** What sums of fractions may miss. */
const TINY = 1e-6;

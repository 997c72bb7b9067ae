import type { RateLeft } from '../core/error.ts';

const MINUTE_MS = 60_000;
/** How far sums of fractions may be off. */
const TINY = 1e-6;
/** Nobody is shut out for longer because of one reply, whatever its backend says that it took. */
export const MAX_DEBT_MINUTES = 60;

/** Time until this much fits beside what is in the bucket; 0: it fits now; undefined: it is more than the whole bucket. */
export function waitMs(level: number, amount: number, perMinute: number): number | undefined {
  if (amount > perMinute) return undefined;
  const excess = level + amount - perMinute;
  return excess <= TINY ? 0 : Math.max(1, Math.ceil(drainMs(excess, perMinute)));
}

/** How long this much takes to run out. */
export function drainMs(amount: number, perMinute: number): number {
  return (amount / perMinute) * MINUTE_MS;
}

/** @param limit What callers know as the limit, where only a part of it is given out here. */
export function leftOf(level: number, perMinute: number, limit = perMinute): RateLeft {
  return {
    limit,
    remaining: Math.max(0, Math.floor(perMinute - level + TINY)),
    resetMs: perMinute > 0 ? Math.ceil(drainMs(level, perMinute)) : 0,
  };
}

/**
 * Counts what was used of a limit per minute: what is in the bucket runs out at the limit's rate, and what would not fit is refused. After a
 * quiet minute all of the limit may be used at once (Turner's leaky bucket as a meter).
 *
 *   gone ─┬─ level ─────────────┐
 *   ······│ first taken │ later │     what was taken first runs out first, so that only what is still
 *         └─────────────┴───────┘     in the bucket can be given back
 */
export class LeakyBucket {
  #level = 0;
  #atMs = 0;
  #perMinute = 1;
  /** How much has ever run out or been given back. */
  #gone = 0;

  level(perMinute: number, nowMs: number): number {
    this.#perMinute = perMinute;
    return this.#levelAt(nowMs);
  }

  isEmpty(nowMs: number): boolean {
    return this.#levelAt(nowMs) === 0;
  }

  /** @returns Where it ends: how much must be gone before all of it is. */
  take(amount: number, perMinute: number, nowMs: number): number {
    this.#drain(perMinute, nowMs);
    this.#level += amount;
    return this.#gone + this.#level;
  }

  /** @param end As `take` returned it. */
  settle(taken: number, end: number, used: number, perMinute: number, nowMs: number): void {
    this.#drain(perMinute, nowMs);
    if (used > taken) {
      this.#level = Math.max(this.#level, Math.min(this.#level + used - taken, MAX_DEBT_MINUTES * perMinute));
      return;
    }
    const back = Math.max(0, Math.min(taken - used, end - this.#gone, this.#level));
    this.#level -= back;
    this.#gone += back;
  }

  #drain(perMinute: number, nowMs: number): void {
    this.#perMinute = perMinute;
    const level = this.#levelAt(nowMs);
    this.#gone += this.#level - level;
    this.#level = level;
    this.#atMs = nowMs;
  }

  #levelAt(nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    return Math.max(0, this.#level - (passedMs / MINUTE_MS) * this.#perMinute);
  }
}

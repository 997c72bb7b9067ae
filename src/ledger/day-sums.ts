import { ATTEMPT_SUMS } from '../store/attempt-sums.ts';
import type { AttemptRow } from './row.ts';
import { DAY_MS } from './spending.ts';

/** Adds up by day in UTC, as the database's own trigger does, what attempts of one label used and cost, in the order of `ATTEMPT_SUMS`. */
export class DaySums {
  readonly #sums = new Map<number, number[]>();
  #last: number[] = [];

  add(row: AttemptRow): void {
    const day = Math.floor(row.atMs / DAY_MS);
    if (day !== this.#last[0]) this.#last = this.#of(day);
    const sums = this.#last;
    sums[1] = capped(sums[1]! + 1);
    sums[2] = capped(sums[2]! + row.promptTokens);
    sums[3] = capped(sums[3]! + row.cachedTokens);
    sums[4] = capped(sums[4]! + row.completionTokens);
    sums[5] = capped(sums[5]! + row.reasoningTokens);
    sums[6] = capped(sums[6]! + row.costNanoUsd);
    sums[7] = capped(sums[7]! + row.wasteNanoUsd);
  }

  /** Each with its day, its number since 1970-01-01, in front. */
  [Symbol.iterator](): Iterator<readonly number[]> {
    return this.#sums.values();
  }

  /** A time of each day, and what it cost. */
  *costs(): Generator<readonly [atMs: number, nanoUsd: number]> {
    for (const sums of this.#sums.values()) yield [sums[0]! * DAY_MS, sums[6]!];
  }

  #of(day: number): number[] {
    let sums = this.#sums.get(day);
    if (sums === undefined) {
      sums = [day, ...ATTEMPT_SUMS.map(() => 0)];
      this.#sums.set(day, sums);
    }
    return sums;
  }
}

/** Beyond it sums are not exact; nor may they keep a row out. */
function capped(sum: number): number {
  return Math.min(sum, Number.MAX_SAFE_INTEGER);
}

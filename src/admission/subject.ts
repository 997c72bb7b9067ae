import type { Limits } from '../core/caller.ts';
import type { RateLeft } from '../core/error.ts';
import { LeakyBucket } from './leaky-bucket.ts';
import type { Periods } from './periods.ts';

/** What one request wants of everybody that it counts for. */
export interface Wanted {
  readonly tokens: number;
  readonly nanoUsd: number;
}

/** Why a subject has no room. `retryAfterMs` undefined: waiting does not help. */
export interface Obstacle {
  readonly limit: keyof Limits;
  readonly retryAfterMs: number | undefined;
}

/** What has been spent in the current day and month, in nano-dollars. */
export interface Spent {
  readonly day: number;
  readonly month: number;
}

/** How much one key, project, organization or model has in use. Limits come with every question, so that a change holds at once. */
export class Subject {
  readonly #requests = new LeakyBucket();
  readonly #tokens = new LeakyBucket();
  #running = 0;
  #reservedNanoUsd = 0;
  #spentDay: number;
  #spentMonth: number;
  #day: number;
  #month: number;

  constructor({ day, month }: Periods, spent: Spent) {
    this.#day = day;
    this.#month = month;
    this.#spentDay = spent.day;
    this.#spentMonth = spent.month;
  }

  /** Nobody would notice if it were forgotten. */
  isIdle(nowMs: number): boolean {
    return (
      this.#running === 0 &&
      this.#spentMonth === 0 &&
      this.#requests.isEmpty(nowMs) &&
      this.#tokens.isEmpty(nowMs)
    );
  }

  obstacle(
    limits: Limits,
    { tokens, nanoUsd }: Wanted,
    nowMs: number,
    periods: Periods,
  ): Obstacle | undefined {
    const { requestsPerMinute, tokensPerMinute, concurrency, nanoUsdPerDay, nanoUsdPerMonth } = limits;
    if (concurrency !== undefined && this.#running >= concurrency)
      return { limit: 'concurrency', retryAfterMs: CONCURRENCY_RETRY_MS };
    if (requestsPerMinute !== undefined) {
      const waitMs = this.#requests.waitMs(1, requestsPerMinute, nowMs);
      if (waitMs > 0) return { limit: 'requestsPerMinute', retryAfterMs: waitMs };
    }
    if (tokensPerMinute !== undefined) {
      const waitMs = this.#tokens.waitMs(tokens, tokensPerMinute, nowMs);
      if (waitMs > 0)
        return { limit: 'tokensPerMinute', retryAfterMs: tokens > tokensPerMinute ? undefined : waitMs };
    }
    if (nanoUsdPerDay === undefined && nanoUsdPerMonth === undefined) return undefined;
    this.#follow(periods);
    const coming = this.#reservedNanoUsd + nanoUsd;
    if (nanoUsdPerDay !== undefined && this.#spentDay + coming > nanoUsdPerDay)
      return { limit: 'nanoUsdPerDay', retryAfterMs: periods.dayLeftMs };
    if (nanoUsdPerMonth !== undefined && this.#spentMonth + coming > nanoUsdPerMonth)
      return { limit: 'nanoUsdPerMonth', retryAfterMs: periods.monthLeftMs };
    return undefined;
  }

  take(limits: Limits, { tokens, nanoUsd }: Wanted, nowMs: number): void {
    this.#running += 1;
    this.#reservedNanoUsd += nanoUsd;
    if (limits.requestsPerMinute !== undefined) this.#requests.add(1, limits.requestsPerMinute, nowMs);
    if (limits.tokensPerMinute !== undefined) this.#tokens.add(tokens, limits.tokensPerMinute, nowMs);
  }

  settle(limits: Limits, wanted: Wanted, used: Wanted, nowMs: number, periods: Periods): void {
    this.#running -= 1;
    this.#reservedNanoUsd -= wanted.nanoUsd;
    if (limits.tokensPerMinute !== undefined)
      this.#tokens.add(used.tokens - wanted.tokens, limits.tokensPerMinute, nowMs);
    this.#follow(periods);
    this.#spentDay += used.nanoUsd;
    this.#spentMonth += used.nanoUsd;
  }

  requestsLeft(limit: number, nowMs: number): RateLeft {
    return this.#requests.left(limit, nowMs);
  }

  tokensLeft(limit: number, nowMs: number): RateLeft {
    return this.#tokens.left(limit, nowMs);
  }

  /** For tests and operators. */
  get inUse(): { readonly running: number; readonly reservedNanoUsd: number } & Spent {
    return {
      running: this.#running,
      reservedNanoUsd: this.#reservedNanoUsd,
      day: this.#spentDay,
      month: this.#spentMonth,
    };
  }

  #follow({ day, month }: Periods): void {
    if (day !== this.#day) {
      this.#day = day;
      this.#spentDay = 0;
    }
    if (month !== this.#month) {
      this.#month = month;
      this.#spentMonth = 0;
    }
  }
}

/** Nobody knows when a running request ends. */
const CONCURRENCY_RETRY_MS = 1_000;

import type { Limits } from '../core/caller.ts';
import { comeBackAt } from './come-back.ts';
import { drainMs, LeakyBucket, waitMs } from './leaky-bucket.ts';
import type { Periods } from './periods.ts';

/** What one request has used, for each subject that it counts for. */
export interface Used {
  readonly tokens: number;
  readonly nanoUsd: number;
}

type BudgetLimit = 'nanoUsdPerDay' | 'nanoUsdPerMonth';

/** What it wants. */
export interface Wanted extends Used {
  /**
   * What is held while it runs, whereas `nanoUsd` has to be there for it to begin: so many at once that turn out
   * dearer than they looked overshoot a budget no further than one of them.
   */
  readonly mostNanoUsd: number;
}

/** Why a subject has no room. `retryAfterMs` undefined: waiting does not help, or not today. */
export interface Obstacle {
  readonly limit: keyof Limits;
  readonly retryAfterMs: number | undefined;
  /** How much later one more request like it would find room. */
  readonly eachMs?: number;
  /** Of a budget: it is not spent, but held for requests that run. */
  readonly isHeld?: boolean;
}

/** What has been spent in the current day and month, in nano-dollars. */
export interface Spent {
  readonly day: number;
  readonly month: number;
}

/**
 * What this process may give out, and what all may together. They come with every question, so that a change takes
 * effect at once.
 */
export interface Allowed {
  readonly limits: Limits;
  readonly whole: Limits;
  /** The share of `whole`, 0 to 1, that `limits` is. */
  readonly share: number;
}

/** How much one key, project, organization or model has in use. */
export class Subject {
  #requests: LeakyBucket | undefined;
  #tokens: LeakyBucket | undefined;
  #running = 0;
  #reservedNanoUsd = 0;
  /** What the last one that was refused was told, in monotonic milliseconds. */
  #toldMs = Number.NEGATIVE_INFINITY;
  #day: number;
  #month: number;
  /** By everybody, as far as is known here. */
  readonly #spent = { day: 0, month: 0 };
  /** How much of it by this process. */
  readonly #own = { day: 0, month: 0 };
  /** How much of it, by whomsoever, before this process knew of the subject. */
  readonly #before = { day: 0, month: 0 };

  /** @param before What was spent in these periods. */
  constructor({ day, month }: Periods, before: Spent) {
    this.#day = day;
    this.#month = month;
    for (const spent of [this.#spent, this.#before]) add(spent, before.day, before.month);
  }

  /** Nobody would notice if it were forgotten. */
  isIdle(nowMs: number, periods: Periods): boolean {
    this.#follow(periods);
    return (
      this.#running === 0 &&
      this.#spent.month === 0 &&
      (this.#requests?.isEmpty(nowMs) ?? true) &&
      (this.#tokens?.isEmpty(nowMs) ?? true)
    );
  }

  obstacle(allowed: Allowed, wanted: Wanted, nowMs: number, periods: Periods): Obstacle | undefined {
    const { concurrency, requestsPerMinute, tokensPerMinute, nanoUsdPerDay, nanoUsdPerMonth } =
      allowed.limits;
    if (concurrency !== undefined && this.#running >= concurrency)
      return { limit: 'concurrency', ...this.#runningWait() };
    if (requestsPerMinute !== undefined) {
      const retryAfterMs = waitMs(this.requestsLevel(requestsPerMinute, nowMs), 1, requestsPerMinute);
      if (retryAfterMs !== 0)
        return { limit: 'requestsPerMinute', retryAfterMs, eachMs: drainMs(1, requestsPerMinute) };
    }
    if (tokensPerMinute !== undefined) {
      const level = this.tokensLevel(tokensPerMinute, nowMs);
      const retryAfterMs = waitMs(level, wanted.tokens, tokensPerMinute);
      if (retryAfterMs !== 0)
        return { limit: 'tokensPerMinute', retryAfterMs, eachMs: drainMs(wanted.tokens, tokensPerMinute) };
    }
    if (nanoUsdPerDay === undefined && nanoUsdPerMonth === undefined) return undefined;
    this.#follow(periods);
    const spent = this.#lacking(allowed, wanted.nanoUsd);
    if (spent !== undefined) return spentObstacle(spent, periods);
    const held = this.#lacking(allowed, wanted.nanoUsd + this.#reservedNanoUsd);
    return held && { limit: held, isHeld: true, ...this.#runningWait() };
  }

  /** When somebody whom this stands in the way of is told to come back. */
  comeBackMs({ retryAfterMs, eachMs }: Obstacle, nowMs: number): number | undefined {
    if (retryAfterMs === undefined || eachMs === undefined) return retryAfterMs;
    this.#toldMs = comeBackAt(this.#toldMs, retryAfterMs, eachMs, nowMs);
    return Math.ceil(this.#toldMs - nowMs);
  }

  /** @returns What `settle` wants to know again. */
  take({ limits }: Allowed, { tokens, mostNanoUsd }: Wanted, nowMs: number): number {
    this.#running += 1;
    this.#reservedNanoUsd += mostNanoUsd;
    if (limits.requestsPerMinute !== undefined) {
      this.#requests ??= new LeakyBucket();
      this.#requests.take(1, limits.requestsPerMinute, nowMs);
    }
    if (limits.tokensPerMinute === undefined) return 0;
    this.#tokens ??= new LeakyBucket();
    return this.#tokens.take(tokens, limits.tokensPerMinute, nowMs);
  }

  settle(
    { limits }: Allowed,
    wanted: Wanted,
    tokensEnd: number,
    used: Used,
    nowMs: number,
    periods: Periods,
  ): void {
    this.#running -= 1;
    // Sums beyond 2⁵³ are not exact; what nobody has set aside is nothing again.
    this.#reservedNanoUsd = this.#running === 0 ? 0 : this.#reservedNanoUsd - wanted.mostNanoUsd;
    if (limits.tokensPerMinute !== undefined)
      this.#tokens?.settle(wanted.tokens, tokensEnd, used.tokens, limits.tokensPerMinute, nowMs);
    this.#follow(periods);
    add(this.#spent, used.nanoUsd, used.nanoUsd);
    add(this.#own, used.nanoUsd, used.nanoUsd);
  }

  /** The ledger knows that everybody together has spent this much in these periods. */
  raise(spent: Spent, { day, month }: Pick<Periods, 'day' | 'month'>): void {
    if (day === this.#day) this.#spent.day = Math.max(this.#spent.day, spent.day);
    if (month === this.#month) this.#spent.month = Math.max(this.#spent.month, spent.month);
  }

  requestsLevel(perMinute: number, nowMs: number): number {
    return this.#requests?.level(perMinute, nowMs) ?? 0;
  }

  tokensLevel(perMinute: number, nowMs: number): number {
    return this.#tokens?.level(perMinute, nowMs) ?? 0;
  }

  spentIn(periods: Periods): Spent {
    this.#follow(periods);
    return this.#spent;
  }

  get inUse(): { readonly running: number; readonly reservedNanoUsd: number } & Spent {
    return { running: this.#running, reservedNanoUsd: this.#reservedNanoUsd, ...this.#spent };
  }

  #runningWait(): Pick<Obstacle, 'retryAfterMs' | 'eachMs'> {
    return { retryAfterMs: RUNNING_RETRY_MS, eachMs: RUNNING_RETRY_MS / this.#running };
  }

  #lacking(allowed: Allowed, nanoUsd: number): BudgetLimit | undefined {
    if (this.#lacks('day', allowed, 'nanoUsdPerDay', nanoUsd)) return 'nanoUsdPerDay';
    return this.#lacks('month', allowed, 'nanoUsdPerMonth', nanoUsd) ? 'nanoUsdPerMonth' : undefined;
  }

  /** All together may not spend more than the whole, and this process not more than its share. */
  #lacks(
    period: keyof Spent,
    { limits, whole, share }: Allowed,
    limit: BudgetLimit,
    nanoUsd: number,
  ): boolean {
    const most = limits[limit];
    const all = whole[limit];
    if (most === undefined || all === undefined) return false;
    if (this.#spent[period] + nanoUsd > all) return true;
    return share < 1 && this.#own[period] + Math.ceil(this.#before[period] * share) + nanoUsd > most;
  }

  /** What was spent in a day that the clock was wrong about was spent in the one to which it goes back. */
  #follow({ day, month }: Periods): void {
    if (day > this.#day) this.#spent.day = this.#own.day = this.#before.day = 0;
    if (month > this.#month) this.#spent.month = this.#own.month = this.#before.month = 0;
    this.#day = day;
    this.#month = month;
  }
}

function add(sum: { day: number; month: number }, day: number, month: number): void {
  sum.day = Math.min(sum.day + day, Number.MAX_SAFE_INTEGER);
  sum.month = Math.min(sum.month + month, Number.MAX_SAFE_INTEGER);
}

/** Nobody knows when a running request ends: all that run now may in a second. */
export const RUNNING_RETRY_MS = 1_000;

export function spentObstacle(limit: BudgetLimit, periods: Periods): Obstacle {
  const leftMs = limit === 'nanoUsdPerDay' ? periods.dayLeftMs : periods.monthLeftMs;
  return { limit, retryAfterMs: leftMs <= MAX_BUDGET_RETRY_MS ? leftMs : undefined };
}

/** Nobody waits longer than a day for an answer. */
const MAX_BUDGET_RETRY_MS = 86_400_000;

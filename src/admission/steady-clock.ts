import { turnTimeMs } from '../core/turn-clock.ts';
import { turnWallMs } from '../core/turn-wall.ts';
import { DAY_MS, type Periods, periodsAt } from './periods.ts';

export interface ClockSources {
  /** Milliseconds that only go forward. */
  readonly monotonic: () => number;
  /** What the system believes, in Unix milliseconds: may jump. */
  readonly system: () => number;
}

/** A clock that was set right is followed at this speed: an hour in twenty. */
const SLEW = 0.05;
/** How much of the time since the last look counts for that: nobody may have looked for hours. */
const MAX_SLEWED_MS = 60_000;
/** With a larger difference the machine has slept, or had no idea of the time before: followed at once. */
const LOST_MS = 6 * 3_600_000;

/**
 * Time of day that does not jump when the system's clock does: it goes on by monotonic time and is drawn slowly to the system's. Days and
 * months do not go back, so that a budget is not given out twice; but from a day that is more than one ahead, which nobody should have to wait for.
 */
export class SteadyClock {
  readonly #sources: ClockSources;
  #monotonicMs: number;
  #wallMs: number;
  #periods: Periods;
  #periodsUntilMs: number;
  /** What was told last, and when on the monotonic clock. */
  #told: Periods;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(sources: ClockSources = { monotonic: turnTimeMs, system: turnWallMs }) {
    this.#sources = sources;
    this.#monotonicMs = sources.monotonic();
    this.#wallMs = sources.system();
    this.#periods = periodsAt(this.#wallMs);
    this.#told = this.#periods;
    this.#periodsUntilMs = this.#wallMs + this.#periods.dayLeftMs;
  }

  /** Monotonic milliseconds. */
  nowMs(): number {
    return this.#sources.monotonic();
  }

  /** Unix milliseconds. @param monotonicMs As `nowMs` has just told */
  wallMs(monotonicMs = this.nowMs()): number {
    const passedMs = monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
    this.#wallMs += passedMs;
    const behindMs = this.#sources.system() - this.#wallMs;
    if (Math.abs(behindMs) > LOST_MS) this.#wallMs += behindMs;
    else {
      const mostMs = SLEW * Math.min(passedMs, MAX_SLEWED_MS);
      this.#wallMs += Math.max(-mostMs, Math.min(mostMs, behindMs));
    }
    return this.#wallMs;
  }

  /** To the millisecond. @param monotonicMs As `nowMs` has just told */
  periods(monotonicMs = this.nowMs()): Periods {
    const sinceMs = monotonicMs - this.#toldAtMs;
    if (sinceMs >= 0 && sinceMs < 1) return this.#told;
    const wallMs = this.wallMs(monotonicMs);
    if (wallMs >= this.#periodsUntilMs || wallMs < this.#periodsUntilMs - 2 * DAY_MS) {
      this.#periods = periodsAt(wallMs);
      this.#periodsUntilMs = wallMs + this.#periods.dayLeftMs;
    }
    const leftMs = this.#periodsUntilMs - wallMs;
    const { day, month, dayLeftMs, monthLeftMs } = this.#periods;
    this.#told = { day, month, dayLeftMs: leftMs, monthLeftMs: monthLeftMs - dayLeftMs + leftMs };
    this.#toldAtMs = monotonicMs;
    return this.#told;
  }
}

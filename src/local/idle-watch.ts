import type { Clock } from '../model-process/clock.ts';

/** A model that becomes idle unannounced is noticed within this time. */
const MOST_POLL_MS = 1_000;

/** Knows since when a model has had nothing to do, and calls back once that has lasted long enough. */
export class IdleWatch {
  readonly #clock: Clock;
  readonly #isBusy: () => boolean;
  #lastUsedMs: number;
  #cancelTimer: () => void = () => {};

  constructor(clock: Clock, isBusy: () => boolean) {
    this.#clock = clock;
    this.#isBusy = isBusy;
    this.#lastUsedMs = clock.now();
  }

  /** Monotonic milliseconds; undefined while it is busy. */
  get sinceMs(): number | undefined {
    return this.#isBusy() ? undefined : this.#lastUsedMs;
  }

  used(): void {
    this.#lastUsedMs = this.#clock.now();
  }

  /** Calls back when it has been idle for that long. Replaces an earlier watch. */
  start(idleMs: number, onIdle: () => void): void {
    this.end();
    if (this.#isBusy()) this.used();
    const leftMs = this.#lastUsedMs + idleMs - this.#clock.now();
    if (leftMs <= 0) onIdle();
    else {
      const waitMs = Math.min(leftMs, MOST_POLL_MS);
      this.#cancelTimer = this.#clock.after(waitMs, () => this.start(idleMs, onIdle));
    }
  }

  end(): void {
    this.#cancelTimer();
  }
}

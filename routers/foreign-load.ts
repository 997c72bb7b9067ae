import type { Forecast } from './forecast.ts';

/** How far one first token moves the trust in what a deployment says. */
const TRUST_STEP = 0.1;
const HALF_LIFE_MS = 3_000;
const FORGOTTEN_MS = 15_000;
/** Requests of others that a scrape is believed to tell of, at most. */
const MAX_FOREIGN = 256;

/**
 * Requests at a deployment that others sent, as told by its metrics: what it says is waiting beyond what we have waiting
 * there. A hint that fades: between scrapes, own accounting is what counts. A deployment whose first tokens come as
 * if nobody else were there is believed less.
 */
export class ForeignLoad {
  #waiting = 0;
  #running = 0;
  #atMs = Number.NEGATIVE_INFINITY;
  #trust = 1;

  /** How much of what it says is believed: 0 to 1. */
  get trust(): number {
    return this.#trust;
  }

  /** A first token came: nearer to what was expected without what others were said to have waiting, or with it? */
  judge({ plainTtftMs, claimedMs }: Forecast, ttftMs: number): void {
    if (claimedMs < plainTtftMs) return;
    const isBorneOut = ttftMs ** 2 > plainTtftMs * (plainTtftMs + claimedMs);
    this.#trust += TRUST_STEP * ((isBorneOut ? 1 : 0) - this.#trust);
  }

  scraped(own: { waiting: number; decoding: number }, waiting: number, running: number, nowMs: number): void {
    if (!Number.isFinite(waiting + running)) return;
    // What runs there may be ours that waits here: the sums are compared, and what waits counts first.
    const others = waiting + running - own.waiting - own.decoding;
    this.#waiting = Math.min(MAX_FOREIGN, Math.max(0, Math.min(waiting - own.waiting, others)));
    this.#running = Math.min(MAX_FOREIGN, Math.max(0, others - this.#waiting));
    this.#atMs = nowMs;
  }

  /** As it says. */
  waiting(nowMs: number): number {
    return this.#waiting * this.#freshness(nowMs);
  }

  /** As it says. */
  running(nowMs: number): number {
    return this.#running * this.#freshness(nowMs);
  }

  #freshness(nowMs: number): number {
    const ageMs = nowMs - this.#atMs;
    return ageMs > FORGOTTEN_MS ? 0 : 0.5 ** (ageMs / HALF_LIFE_MS);
  }
}

/** Arrivals are forgotten to two thirds in this time. */
const RATE_MS = 10_000;
/** And in this time, how many there were at once. */
const PEAK_MS = 30_000;
const STAY_WEIGHT = 1 / 16;
/** This share of light tenants' requests may find no place. */
const MAY_WAIT = 0.02;
/** That one found none is remembered for this long; for each, one more place is left free. */
const SHORT_MS = 60_000;
/** Nobody feels a wait of this share of the time that a reply takes to begin. */
const UNFELT = 0.15;

/** How many have come; older ones count less. */
class Arrivals {
  #count = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;

  at(nowMs: number): number {
    return this.#count * Math.exp((this.#countedAtMs - nowMs) / RATE_MS);
  }

  /** @param count Below 0: so many have never come. */
  add(count: number, nowMs: number): void {
    this.#count = Math.max(0, this.at(nowMs) + count);
    this.#countedAtMs = nowMs;
  }
}

/** What one tenant has asked for since it is taken to be light. */
export class Asked {
  readonly sinceMs: number;
  inside = 0;
  /** The most that it had inside. */
  peak = 0;
  readonly arrivals = new Arrivals();
  /** It has turned out to be heavy. */
  isForgotten = false;

  constructor(sinceMs: number) {
    this.sinceMs = sinceMs;
  }
}

/**
 * What light tenants (see `Headroom`) ask of a backend, and how many places have to be free for nearly all of their
 * requests to find one.
 */
export class LightDemand {
  readonly #now: () => number;
  #inside = 0;
  readonly #arrivals = new Arrivals();
  #firstAtMs: number | undefined;
  #peak = 0;
  #peakAtMs = 0;
  /** How often one found no place of late, although enough should have been free. */
  #short = 0;
  #shortAtMs = Number.NEGATIVE_INFINITY;
  /** How long requests stay, whoever's; 0: none has left yet. */
  #stayMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  enter(asked: Asked): void {
    const nowMs = this.#now();
    asked.arrivals.add(1, nowMs);
    asked.inside += 1;
    asked.peak = Math.max(asked.peak, asked.inside);
    this.#arrivals.add(1, nowMs);
    this.#firstAtMs ??= nowMs;
    this.#inside += 1;
    if (this.#inside < this.#peakAt(nowMs)) return;
    this.#peak = this.#inside;
    this.#peakAtMs = nowMs;
  }

  /** One found no place. Others that find none within a stay do so for the same reason. */
  foundNone(): void {
    const nowMs = this.#now();
    if (nowMs - this.#shortAtMs <= this.#stayMs) return;
    this.#short = this.#shortAt(nowMs) + 1;
    this.#shortAtMs = nowMs;
  }

  leave(asked: Asked): void {
    this.#move(asked, -1);
  }

  /** One that had left before its end. */
  cameBack(asked: Asked): void {
    this.#move(asked, 1);
  }

  /** As if its tenant had never been there. */
  forget(asked: Asked): void {
    const nowMs = this.#now();
    this.#arrivals.add(-asked.arrivals.at(nowMs), nowMs);
    this.#inside -= asked.inside;
    this.#peak = Math.max(this.#inside, this.#peakAt(nowMs) - asked.peak);
    this.#peakAtMs = nowMs;
    asked.isForgotten = true;
  }

  get stayMs(): number {
    return this.#stayMs;
  }

  /** A request was inside for this long, whoever's it was. */
  stayed(ms: number): void {
    this.#stayMs += (ms - this.#stayMs) * (this.#stayMs === 0 ? 1 : STAY_WEIGHT);
  }

  /**
   * How many of the places heavy tenants should leave free. These become free one by one, as anybody leaves, and are
   * taken by light tenants only: a queue of births and deaths, whose last place should be taken for a small part of the
   * time. No more than it takes for one more of them than there were at once of late.
   *
   * @param beginsMs How long a reply takes to begin.
   */
  reserve(places: number, beginsMs: number): number {
    if (places === Number.POSITIVE_INFINITY) return 0;
    const nowMs = this.#now();
    const most = Math.min(places - 1, Math.ceil(this.#peakAt(nowMs)) + 1 - this.#inside);
    if (most <= 1) return Math.max(0, most);
    return Math.min(most, this.#mostLikely(places, most, beginsMs, nowMs) + Math.round(this.#shortAt(nowMs)));
  }

  #move(asked: Asked, by: number): void {
    if (asked.isForgotten) return;
    asked.inside += by;
    this.#inside += by;
  }

  #mostLikely(places: number, most: number, beginsMs: number, nowMs: number): number {
    const offered = this.#ratePerMs(nowMs) * this.#stayMs;
    // How likely one of all that run ends before its place is missed.
    const unfelt = 1 - (1 - Math.min(1, (UNFELT * beginsMs) / Math.max(1, this.#stayMs))) ** places;
    let full = 1;
    let sum = 1;
    for (let free = 1; free < most; free += 1) {
      // With one more free, all those before are this much less likely.
      const step = offered / (places - free + 1);
      full *= step;
      sum = 1 + step * sum;
      if ((full / sum) * (1 - unfelt) <= MAY_WAIT) return free;
    }
    return most;
  }

  #ratePerMs(nowMs: number): number {
    const sinceMs = Math.max(1_000, nowMs - (this.#firstAtMs ?? nowMs));
    return this.#arrivals.at(nowMs) / (RATE_MS * (1 - Math.exp(-sinceMs / RATE_MS)));
  }

  #shortAt(nowMs: number): number {
    return this.#short === 0 ? 0 : this.#short * Math.exp((this.#shortAtMs - nowMs) / SHORT_MS);
  }

  #peakAt(nowMs: number): number {
    return this.#peak * Math.exp((this.#peakAtMs - nowMs) / PEAK_MS);
  }
}

/** Of what those that have little ask, the last so many seconds count. */
const RATE_MS = 10_000;
/** How many of them there were at once is forgotten to two thirds in this time. */
const PEAK_MS = 30_000;
const STAY_WEIGHT = 1 / 16;
/** Of those that have little, so many may find no place. */
const MAY_WAIT = 0.02;
/** Who found none is remembered for so long, and one place more is left free for each. */
const SHORT_MS = 60_000;
/** Of what a reply takes to begin, nobody feels so much. */
const UNFELT = 0.15;

/** What the tenants that have little ask of a backend, and how many places have to be free for nearly all of them to find one. */
export class QuietDemand {
  readonly #now: () => number;
  /** Of them. */
  #inside = 0;
  /** Arrivals, the older ones count less. */
  #arrivals = 0;
  #arrivedAtMs = Number.NEGATIVE_INFINITY;
  #firstAtMs: number | undefined;
  #peak = 0;
  #peakAtMs = 0;
  /** They found no place so often, where as many were free as should do; of late. */
  #short = 0;
  #shortAtMs = Number.NEGATIVE_INFINITY;
  /** Of all, from coming to leaving; 0: nobody has left yet. */
  #stayMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  enter(): void {
    const nowMs = this.#now();
    this.#arrivals = this.#arrivalsAt(nowMs) + 1;
    this.#arrivedAtMs = nowMs;
    this.#firstAtMs ??= nowMs;
    this.#inside += 1;
    if (this.#inside < this.#peakAt(nowMs)) return;
    this.#peak = this.#inside;
    this.#peakAtMs = nowMs;
  }

  /** One that came found no place. What leads to that leads to others within a stay. */
  foundNone(): void {
    const nowMs = this.#now();
    if (nowMs - this.#shortAtMs <= this.#stayMs) return;
    this.#short = this.#shortAt(nowMs) + 1;
    this.#shortAtMs = nowMs;
  }

  leave(): void {
    this.#inside -= 1;
  }

  get stayMs(): number {
    return this.#stayMs;
  }

  /** Somebody was inside for so long, whoever it was. */
  stayed(ms: number): void {
    this.#stayMs += (ms - this.#stayMs) * (this.#stayMs === 0 ? 1 : STAY_WEIGHT);
  }

  /**
   * How many of so many places those that have much should leave free. Places above those become free one by one, as anybody leaves, and are taken by those that
   * have little only: a queue of births and deaths, in which the last place is to be taken for a small part of the time. No more than would make them one more than they were
   * at once of late.
   *
   * @param beginsMs A reply.
   */
  reserve(places: number, beginsMs: number): number {
    if (places === Number.POSITIVE_INFINITY) return 0;
    const nowMs = this.#now();
    const most = Math.min(places - 1, Math.ceil(this.#peakAt(nowMs)) + 1 - this.#inside);
    if (most <= 1) return Math.max(0, most);
    return Math.min(most, this.#mostLikely(places, most, beginsMs, nowMs) + Math.round(this.#shortAt(nowMs)));
  }

  #mostLikely(places: number, most: number, beginsMs: number, nowMs: number): number {
    const offered = this.#ratePerMs(nowMs) * this.#stayMs;
    // Of all that run, one ends before it is felt.
    const unfelt = 1 - (1 - Math.min(1, (UNFELT * beginsMs) / Math.max(1, this.#stayMs))) ** places;
    let full = 1;
    let sum = 1;
    for (let free = 1; free < most; free += 1) {
      // One more level below: all above it are so much less likely.
      const step = offered / (places - free + 1);
      full *= step;
      sum = 1 + step * sum;
      if ((full / sum) * (1 - unfelt) <= MAY_WAIT) return free;
    }
    return most;
  }

  #ratePerMs(nowMs: number): number {
    const sinceMs = Math.max(1_000, nowMs - (this.#firstAtMs ?? nowMs));
    return this.#arrivalsAt(nowMs) / (RATE_MS * (1 - Math.exp(-sinceMs / RATE_MS)));
  }

  #arrivalsAt(nowMs: number): number {
    return this.#arrivals * Math.exp((this.#arrivedAtMs - nowMs) / RATE_MS);
  }

  #shortAt(nowMs: number): number {
    return this.#short === 0 ? 0 : this.#short * Math.exp((this.#shortAtMs - nowMs) / SHORT_MS);
  }

  #peakAt(nowMs: number): number {
    return this.#peak * Math.exp((this.#peakAtMs - nowMs) / PEAK_MS);
  }
}

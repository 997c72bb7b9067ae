/** Nobody knows yet: a burst of so many hardly hurts. */
const FIRST_GUESS = 8;
/** Later than this against what an idle backend takes is late … */
const LATE = 1.15;
/** … if it is so much: the rest is noise of the machine. */
const NOISE_MS = 5;
/** So many in a row, among nearly as many as may be, were not late: more may be. */
const CALM_IN_A_ROW = 4;
const NEARLY_ALL = 0.75;
const MAX_CUT = 0.5;
const MIN_CUT = 0.9;
/** Growth per calm sample, of the knee: against a cut of a tenth, so many calm ones make up for a late one. */
const GROWTH = 0.004;
/** Ratios of an idle backend, of which few are above. */
const USUAL_QUANTILE = 0.95;
const USUAL_STEP = 0.05;
const USUAL_MARGIN = 1.05;

/** How a request fared. */
export interface Sample {
  readonly startedAtMs: number;
  /** How many were inside, itself included. */
  readonly among: number;
  /** Until it began, with the time in line if it had a claim to a place at once. */
  readonly tookMs: number;
  readonly predictedMs: number;
  /** Its tenant had less than its share: for such ones there has to be room. */
  readonly within: boolean;
}

/**
 * How many requests a backend takes before another one begins late, found out from how they fare. A stricter relative of
 * `ConcurrencyLimit`: that one lets a queue form in the backend of which a reply takes twice its time, for one tenant alone would rather have that than wait here;
 * this one none that others would feel.
 *
 * It doubles until a request is late for the first time, as TCP does; from then on a late one costs a tenth, or as much as it
 * was late, and calm ones add so little that some 4 % of those within their share find it full.
 * What is late is measured against what was usual among few.
 */
export class Knee {
  readonly #now: () => number;
  #at = FIRST_GUESS;
  #everCut = false;
  #cutAtMs = Number.NEGATIVE_INFINITY;
  #calm = 0;
  #late = 0;
  /** Logarithm of the ratio of observed to predicted that few exceed among few. */
  #usual = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get at(): number {
    return this.#at;
  }

  /** @param limit It is never above. */
  observe({ startedAtMs, among, tookMs, predictedMs, within }: Sample, limit: number): void {
    const ratio = tookMs / predictedMs;
    if (among <= Math.max(2, this.#at / 4)) this.#learnUsual(ratio);
    if (startedAtMs < this.#cutAtMs) return;
    const bound = Math.max(LATE, Math.exp(this.#usual) * USUAL_MARGIN);
    const late = ratio > bound && tookMs - predictedMs > NOISE_MS;
    if (late) this.#observeLate(among, bound / ratio, within);
    else if (among >= this.#at * NEARLY_ALL) this.#observeCalm(limit, within);
  }

  #observeLate(among: number, factor: number, within: boolean): void {
    this.#calm = 0;
    // Single ones of those that have much say little; those that have little are few.
    this.#late += 1;
    if (!within && this.#late < CALM_IN_A_ROW) return;
    this.#at = Math.max(1, Math.min(this.#at, among) * Math.min(MIN_CUT, Math.max(MAX_CUT, factor)));
    this.#everCut = true;
    this.#late = 0;
    this.#cutAtMs = this.#now();
  }

  #observeCalm(limit: number, within: boolean): void {
    this.#late = 0;
    this.#calm += 1;
    if (this.#everCut) {
      if (within) this.#at = Math.min(limit, this.#at * (1 + GROWTH));
    } else if (this.#calm >= CALM_IN_A_ROW) {
      this.#at = Math.min(limit, this.#at * 2);
      this.#calm = 0;
    }
  }

  #learnUsual(ratio: number): void {
    const above = Math.log(ratio) > this.#usual;
    this.#usual = Math.max(0, this.#usual + USUAL_STEP * (above ? USUAL_QUANTILE : USUAL_QUANTILE - 1));
  }
}

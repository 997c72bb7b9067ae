/**
 * Until somebody can tell. Too strict a guess holds back until there are few, and then it is known; too lax a one
 * would stay.
 */
const GUESS = 1;
/** Late is what takes this many times as long as nearly all took among few … */
const LATE_TIMES = 1.08;
/** … and this over their number more, as the fewer they are, the less is known of what is usual. */
const UNSURE = 1;
const NEARLY_ALL = 0.95;
const SAMPLES = 128;
/** Nobody can tell what is usual from fewer than this. */
const MIN_SAMPLES = 8;
const LEARN_EVERY = 8;
const LEARN_EACH = 32;

/** What is usual where nobody is held up, as observed against predicted, for `Knee`. */
export class Usual {
  readonly #ratios = new Float64Array(SAMPLES);
  readonly #atMs = new Float64Array(SAMPLES);
  #seen = 0;
  #ratio = GUESS;

  /** Nearly all took as many times what was predicted. */
  get ratio(): number {
    return this.#ratio;
  }

  /** What takes more is late. */
  get lateRatio(): number {
    return this.#ratio * (LATE_TIMES + UNSURE / Math.max(MIN_SAMPLES, this.#kept));
  }

  /** The same once it is known for sure. */
  get strictLateRatio(): number {
    return this.#ratio * LATE_TIMES;
  }

  /** Enough has been seen. */
  get isKnown(): boolean {
    return this.#seen >= MIN_SAMPLES;
  }

  /** … just now. */
  get isJustKnown(): boolean {
    return this.#seen === MIN_SAMPLES;
  }

  get isSure(): boolean {
    return this.#seen >= LEARN_EACH;
  }

  get isJustSure(): boolean {
    return this.#seen === LEARN_EACH;
  }

  learn(ratio: number, nowMs: number): void {
    const at = this.#seen % SAMPLES;
    this.#ratios[at] = ratio;
    this.#atMs[at] = nowMs;
    this.#seen += 1;
    if (this.#seen <= LEARN_EACH || this.#seen % LEARN_EVERY === 0) this.#sum();
  }

  /** It has turned out that somebody was held up since then. */
  forget(sinceMs: number): void {
    let kept = 0;
    for (let i = 0; i < this.#kept; i += 1) {
      if (this.#atMs[i]! >= sinceMs) continue;
      this.#ratios[kept] = this.#ratios[i]!;
      this.#atMs[kept] = this.#atMs[i]!;
      kept += 1;
    }
    if (kept === this.#kept) return;
    this.#seen = kept;
    this.#sum();
  }

  get #kept(): number {
    return Math.min(SAMPLES, this.#seen);
  }

  #sum(): void {
    const sorted = this.#ratios.slice(0, this.#kept).sort();
    this.#ratio = this.isKnown ? Math.max(1, sorted[Math.floor(sorted.length * NEARLY_ALL)]!) : GUESS;
  }
}

import { UnansweredBound } from './unanswered-bound.ts';

/** Where nobody knows yet: a burst of so many hardly hurts. */
const FIRST_GUESS = 4;
/**
 * There may be this much more, and at least one, after so many in a row were not late among nearly as many as there
 * may be.
 */
const STEP = 1.1;
const CALM_BEFORE_STEP = 4;
const NEARLY_ALL = 0.75;
/** Once it has been too much, only the word of light tenants counts, as long as one has come within this time. */
const FELT_MS = 5_000;
/** Below this share of what was calm before, a late one would be late among fewer, too. */
const ALREADY_CALM = 0.9;
const MAX_CUT = 0.5;
const MIN_CUT = 0.9;
/** This share of the heavy tenants' requests has to be late before it counts; of a light tenant's, each one counts. */
const LATE_SHARE = 0.4;
const SHARE_WEIGHT = 1 / 8;
/** A light tenant's late one counts until so many calm ones have come … */
const FORGIVEN_AFTER = 20;
/** … and a cut takes two of them, or one that took this many times as long as what is late already. */
const FAR_TOO_LATE = 2;
/**
 * Growth per calm request of a light tenant near where somebody was late last; below `WELL_BELOW` of that, it grows
 * by steps.
 */
const GROWTH = 0.001;
const WELL_BELOW = 0.65;
/**
 * More than what was too much is tried again after this long; where it was about as much as the time before, this
 * many times later.
 */
const RETRY_MS = 20_000;
const LATER = 2.5;
const MAX_RETRY_MS = 60_000;
const AS_BEFORE = [0.8, 1.4] as const;
/** Late is what takes this many times as long as nearly all took among few … */
const LATE = 1.08;
/** … and at least this much longer: less is noise of the machine. */
const NOISE_MS = 5;
const NEARLY_ALL_OF_FEW = 0.95;
const FEW_SAMPLES = 128;
/** Nobody can tell what is usual from fewer than this. */
const MIN_FEW_SAMPLES = 8;
const LEARN_EVERY = 8;
const LEARN_EACH = 32;
/**
 * Until somebody can tell. Too strict a guess holds back until there are few, and then it is known; too lax a one
 * would stay.
 */
const USUAL_RATIO = 1;

/** It is cut to no less than this share of what was calm once … */
const LEAST_OF_CALM = 0.5;
/** … which is forgotten to two thirds in this time. */
const FORGET_MS = 600_000;

/** How a request fared. */
export interface Fared {
  readonly startedAtMs: number;
  /** How many were inside, itself included. */
  readonly among: number;
  /** Until its reply began. */
  readonly tookMs: number;
  readonly predictedMs: number;
}

/** And among whom. */
export interface Sample extends Fared {
  /** Its tenant is light, and has nothing in line: for such requests there has to be room. */
  readonly light: boolean;
  /** It is the first token that took so long, not a whole reply. */
  readonly stream: boolean;
  /**
   * The most that any tenant had inside. Where nobody had much, nobody is to blame for how it fared; where all had
   * little, that is what is usual.
   */
  readonly company: 'little' | 'some' | 'much';
  /**
   * How many pressing ones (see `Stay`) had no answer when it came, itself included if it is one of them; at least
   * one, if one came while it waited.
   */
  readonly unanswered: number;
  /** No other pressing one was without an answer while it waited. */
  readonly undisturbed: boolean;
}

/**
 * How many requests a backend takes before another one begins late, found out from how they fare. A stricter
 * relative of `ConcurrencyLimit`, which lets a reply take twice its time, because a tenant that is alone would
 * rather wait in the backend than here; this one aims at what others would not feel. Heavy and light tenants: see
 * `Headroom`.
 *
 * It grows by tenths until requests are late for the first time. From then on late requests of light tenants cost a
 * tenth, or as much as they were late by, and a calm one adds so little that some 2 % of them may be late: what has
 * been let in cannot be taken back, and everybody waits for it. What made them late may have been something else,
 * and servers change. So after a while it grows by tenths again, each time after a longer one.
 *
 * Late is measured against what is usual for light tenants that no heavy one disturbs; until enough of those have
 * come, for anybody that is not disturbed; and until that is known, against a strict guess, for which cuts are
 * forgiven. A request that is late among no more than was calm once is late because of prompts in front of it: then
 * fewer requests of heavy tenants may be without an answer (`UnansweredBound`).
 */
export class Knee {
  /** How many requests of heavy tenants may be inside without an answer. */
  readonly unanswered: UnansweredBound;
  readonly #now: () => number;
  #at = FIRST_GUESS;
  /** Since the last change. */
  #calmOnes = 0;
  #lateOnes = 0;
  #most = FIRST_GUESS;
  #mostAtMs = 0;
  #lateShare = 0;
  /** Where it was when somebody was late; undefined: nobody ever was. */
  #tooMuch: number | undefined;
  #retryMs = RETRY_MS;
  #cutAtMs = Number.NEGATIVE_INFINITY;
  #steppedAtMs = Number.NEGATIVE_INFINITY;
  #lightAtMs = Number.NEGATIVE_INFINITY;
  /** Observed against predicted, of the latest that came among few. */
  readonly #few = new Float64Array(FEW_SAMPLES);
  #fewSeen = 0;
  #usual = USUAL_RATIO;

  constructor(now: () => number) {
    this.#now = now;
    this.unanswered = new UnansweredBound(now);
  }

  get at(): number {
    return this.#at;
  }

  /** Enough has been seen to know what is usual. */
  get knowsUsual(): boolean {
    return this.#fewSeen >= MIN_FEW_SAMPLES;
  }

  /** A request that has not begun after this long is late. */
  lateMs(predictedMs: number): number {
    return Math.max(predictedMs * this.#usual * LATE, predictedMs + NOISE_MS);
  }

  /** How many were inside without anybody being late, not long ago. */
  get calmAmong(): number {
    return this.#most * Math.exp((this.#mostAtMs - this.#now()) / FORGET_MS);
  }

  /** @param most It is never above. */
  observe(
    { startedAtMs, among, tookMs, predictedMs, light, company, unanswered, undisturbed, stream }: Sample,
    most: number,
  ): void {
    const ratio = tookMs / predictedMs;
    if (light) this.#lightAtMs = this.#now();
    const few = among <= Math.max(2, this.#at / 2);
    if (undisturbed && (light || !this.knowsUsual) && (few || company === 'little')) this.#learnUsual(ratio);
    const factor = (this.#usual * LATE) / ratio;
    const late = tookMs > this.lateMs(predictedMs);
    // One that is late among no more than was calm once is late for another reason.
    const mostCalm = this.calmAmong * ALREADY_CALM;
    if (company === 'much')
      if (!late) this.unanswered.calm(startedAtMs, unanswered, light);
      else if (
        light &&
        this.knowsUsual &&
        among < mostCalm &&
        this.unanswered.late(startedAtMs, unanswered, factor, stream)
      )
        return;
    // One that is late among few is not late for being among many; one that came before the last cut tells of what is past.
    if (few || startedAtMs < this.#cutAtMs) return;
    if (late && (company !== 'much' || among > Math.max(this.#at * 1.1, this.#at + 2))) return;
    if (!light) this.#lateShare += (Number(late) - this.#lateShare) * SHARE_WEIGHT;
    if (late) this.#observeLate(among, factor, light, most);
    else if (among >= this.#at * NEARLY_ALL) this.#observeCalm(startedAtMs, among, light, most);
  }

  #observeLate(among: number, factor: number, light: boolean, most: number): void {
    if (light) this.#lateOnes += factor < 1 / FAR_TOO_LATE ? 2 : 1;
    if (light ? this.#lateOnes < 2 : this.#lateShare < LATE_SHARE) return;
    const before = Math.min(this.#at, most);
    const times = before / (this.#tooMuch ?? 0);
    const isAsBefore = times > AS_BEFORE[0] && times < AS_BEFORE[1];
    this.#retryMs = isAsBefore ? Math.min(MAX_RETRY_MS, this.#retryMs * LATER) : RETRY_MS;
    this.#tooMuch = before;
    const cut = Math.min(before, among) * Math.min(MIN_CUT, Math.max(MAX_CUT, factor));
    this.#at = Math.max(1, cut, this.calmAmong * LEAST_OF_CALM);
    this.#lateOnes = 0;
    this.#lateShare = 0;
    this.#calmOnes = 0;
    this.#cutAtMs = this.#now();
    this.#steppedAtMs = this.#cutAtMs;
  }

  #observeCalm(startedAtMs: number, among: number, light: boolean, most: number): void {
    const nowMs = this.#now();
    if (light) this.#lateOnes = Math.max(0, this.#lateOnes - 1 / FORGIVEN_AFTER);
    const tooMuch = this.#tooMuch;
    const counts = light || tooMuch === undefined || nowMs - this.#lightAtMs > FELT_MS;
    // A step has to be felt before there is another.
    if (counts && startedAtMs >= this.#steppedAtMs) this.#calmOnes += light && tooMuch !== undefined ? 2 : 1;
    const mayStep =
      tooMuch === undefined || this.#at < tooMuch * WELL_BELOW || nowMs - this.#cutAtMs > this.#retryMs;
    if (!mayStep) {
      if (light) this.#grow(1 + GROWTH, among, most);
    } else if (this.#calmOnes >= CALM_BEFORE_STEP) {
      this.#calmOnes = 0;
      this.#steppedAtMs = nowMs;
      this.#grow(Math.max(STEP, 1 + 1 / this.#at), among, most);
    }
  }

  #grow(factor: number, among: number, most: number): void {
    this.#most = Math.max(this.calmAmong, Math.min(this.#at, among, most));
    this.#mostAtMs = this.#now();
    this.#at = Math.min(Math.max(most, this.#at), this.#at * factor);
  }

  #learnUsual(ratio: number): void {
    this.#few[this.#fewSeen % FEW_SAMPLES] = ratio;
    this.#fewSeen += 1;
    if (this.#fewSeen < MIN_FEW_SAMPLES || (this.#fewSeen > LEARN_EACH && this.#fewSeen % LEARN_EVERY > 0))
      return;
    const sorted = this.#few.slice(0, this.#fewSeen).sort();
    this.#usual = Math.max(1, sorted[Math.floor(sorted.length * NEARLY_ALL_OF_FEW)]!);
    // What was late against a guess need not have been late.
    if (this.#fewSeen === MIN_FEW_SAMPLES) this.#tooMuch = undefined;
  }
}

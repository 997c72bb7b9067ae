import { KneeEvidence, type Witness } from './knee-evidence.ts';
import type { Size } from './stays.ts';
import { UnansweredBound } from './unanswered-bound.ts';
import { Usual } from './usual.ts';

/** Where nobody knows yet: so few hardly hurt. */
const FIRST_GUESS = 2;
/**
 * There may be this much more, and at least one, after so many were not late among nearly as many as there may be; one
 * only where it has been too much before.
 */
const STEP = 0.08;
const CALM_BEFORE_STEP = 2;
const NEARLY_ALL = 0.9;
/** What was too much is tried again after this long; where it was about as much as the time before, this many times later … */
const RETRY_MS = 60_000;
const LATER = 2;
const MAX_RETRY_MS = 240_000;
const AS_BEFORE = [0.8, 1.25] as const;
/** … and sooner where less than this share of what was calm is left: the reason may have been another. */
const FAR_LESS = 0.7;
const SOON_MS = 15_000;
/** Late is what takes at least this much longer: less is noise of the machine. */
const NOISE_MS = 5;
/** What was found is void where so many times less was late then than is now, or more. */
const STRICT = 1.1;
/** Below this share of what there may be, a late one would be late among fewer, too. */
const ALREADY_CALM = 0.9;

/** How a request fared, and among whom. */
export interface Sample extends Witness {
  /** It is the first token that took so long, not a whole reply. */
  readonly stream: boolean;
  /**
   * The most that any tenant had inside. Where nobody had much, nobody is to blame for how it fared; where all had
   * little, that is what is usual.
   */
  readonly company: Size;
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
 * It grows as long as requests among nearly as many as there may be are not late. When one is, the latest requests
 * are parted by how many they were among, so that most late ones are above and most others below: that many are too
 * many (`KneeEvidence`). Where being late is as usual below, it has another reason. As servers change, what was too
 * many is tried again, each time after a longer while.
 *
 * Late is measured against what is usual for light tenants that no heavy one disturbs; until enough of those have
 * come, for anybody that is not disturbed; and until that is known, against a strict guess, for which cuts are
 * forgiven. A request that is late among far fewer than there may be is late because of prompts in front of it: then
 * fewer requests of heavy tenants may be without an answer (`UnansweredBound`).
 */
export class Knee {
  /** How many requests of heavy tenants may be inside without an answer. */
  readonly unanswered: UnansweredBound;
  readonly #now: () => number;
  #at = FIRST_GUESS;
  /** Since the last change. */
  #calmOnes = 0;
  /** The fewest that they were among. */
  #calmAmong = Number.POSITIVE_INFINITY;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  /** Among this many, requests are late; undefined: none ever was. */
  #tooMany: number | undefined;
  #foundAtMs = Number.NEGATIVE_INFINITY;
  /** What was late then. */
  #foundByRatio = Number.POSITIVE_INFINITY;
  #retryMs = RETRY_MS;
  readonly #evidence = new KneeEvidence();
  readonly #usual = new Usual();

  constructor(now: () => number) {
    this.#now = now;
    this.unanswered = new UnansweredBound(now);
  }

  get at(): number {
    return this.#at;
  }

  /** As many as are not too many; infinite while that is not known, or to be tried again. */
  get most(): number {
    return this.#isFound ? this.#tooMany! - 1 : Number.POSITIVE_INFINITY;
  }

  get #isFound(): boolean {
    return this.#tooMany !== undefined && this.#now() - this.#foundAtMs < this.#retryMs;
  }

  /** Enough has been seen to know what is usual. */
  get knowsUsual(): boolean {
    return this.#usual.isKnown;
  }

  /** A request that has not begun after this long is late. */
  lateMs(predictedMs: number): number {
    return Math.max(predictedMs * this.#usual.lateRatio, predictedMs + NOISE_MS);
  }

  /** @param most It is never above. */
  observe(sample: Sample, most: number): void {
    const { startedAtMs, among, tookMs, predictedMs, light, company, unanswered } = sample;
    const late = tookMs > this.lateMs(predictedMs);
    if (this.#tellsWhatIsUsual(sample, late)) this.#learnUsual(tookMs / predictedMs);
    if (late) {
      if (company !== 'much' || this.#isDueToPrompts(sample)) return;
    } else if (company === 'much' || unanswered > 0)
      // A tenant that may have hardly anything without an answer never has much inside: only this lets it have more again.
      this.unanswered.calm(startedAtMs, unanswered, light);
    const isKept = this.#evidence.add(sample, this.lateMs(predictedMs), this.#now());
    if (late) {
      if (isKept) this.#findTooMany();
    } else if (startedAtMs >= this.#changedAtMs && among >= Math.floor(this.#at * NEARLY_ALL))
      this.#observeCalm(among, light, most);
  }

  /** Begins carefully again, and keeps what it knows. */
  restart(): void {
    this.#evidence.clear();
    this.unanswered.restart();
    this.#move(Math.min(this.#at, FIRST_GUESS));
  }

  /**
   * Since then many were taken for light that are heavy: what was usual beside them need not be, nor was all in time
   * that seemed so.
   */
  mistook(sinceMs: number): void {
    const before = this.#usual.lateRatio;
    this.#usual.forget(sinceMs);
    if (this.#usual.lateRatio * STRICT < before) this.#findAnew();
  }

  /** Nobody held it up, as far as can be seen. Where little is known, more are asked. */
  #tellsWhatIsUsual({ among, light, company, undisturbed }: Sample, late: boolean): boolean {
    if (!undisturbed || (!light && this.#usual.isSure)) return false;
    if (company === 'little' || among <= Math.max(1, this.#at / 2)) return true;
    return !this.knowsUsual && !late && among <= this.#at;
  }

  /** It was late among far fewer than there may be; and fewer prompts of heavy tenants without an answer may help. */
  #isDueToPrompts({ startedAtMs, among, tookMs, predictedMs, light, unanswered, stream }: Sample): boolean {
    if (!light || !this.knowsUsual || among >= this.#at * ALREADY_CALM) return false;
    const factor = this.#usual.strictLateRatio / (tookMs / predictedMs);
    return this.unanswered.late(startedAtMs, unanswered, factor, stream);
  }

  #observeCalm(among: number, light: boolean, most: number): void {
    this.#calmOnes += light ? 2 : 1;
    this.#calmAmong = Math.min(this.#calmAmong, among);
    if (this.#calmOnes < CALM_BEFORE_STEP || this.#at >= this.most) return;
    const at = Math.max(this.#at, this.#calmAmong);
    const isNear = this.#tooMany !== undefined && at * (1 + STEP) >= this.#tooMany;
    const step = isNear ? 1 : Math.max(1, Math.floor(at * STEP));
    this.#move(Math.max(this.#at, Math.min(most, this.most, at + step)));
  }

  #findTooMany(): void {
    const tooMany = this.#evidence.tooMany(this.#now());
    if (tooMany === undefined) return;
    if (this.#isFound && tooMany >= this.#tooMany!) return;
    const times = tooMany / (this.#tooMany ?? 0);
    const isAsBefore = times > AS_BEFORE[0] && times < AS_BEFORE[1];
    if (tooMany < this.#at * FAR_LESS) this.#retryMs = SOON_MS;
    else if (!this.#isFound)
      this.#retryMs = isAsBefore ? Math.min(MAX_RETRY_MS, this.#retryMs * LATER) : RETRY_MS;
    this.#tooMany = Math.max(2, tooMany);
    this.#foundAtMs = this.#now();
    this.#foundByRatio = this.#usual.lateRatio;
    if (this.#at >= this.#tooMany) this.#move(this.#tooMany - 1);
  }

  #move(at: number): void {
    this.#at = at;
    this.#calmOnes = 0;
    this.#calmAmong = Number.POSITIVE_INFINITY;
    this.#changedAtMs = this.#now();
  }

  #learnUsual(ratio: number): void {
    this.#usual.learn(ratio, this.#now());
    // What was late against a guess need not have been; nor what was so against the little that was known at first.
    const wasStrict = this.#usual.isJustSure && this.#usual.lateRatio > this.#foundByRatio * STRICT;
    if (this.#usual.isJustKnown || wasStrict) this.#findAnew();
  }

  #findAnew(): void {
    this.#tooMany = undefined;
    this.#evidence.clear();
  }
}

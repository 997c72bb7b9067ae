import { Latest } from '../core/latest.ts';
import { UnansweredBound } from './unanswered-bound.ts';

/** Where nobody knows yet: so few hardly hurt. */
const FIRST_GUESS = 2;
/**
 * There may be this much more, and at least one, after so many were not late among nearly as many as there may be; one
 * only where it has been too much before.
 */
const STEP = 0.08;
const CALM_BEFORE_STEP = 2;
const NEARLY_ALL = 0.9;
/** The latest requests, as many and no older than this, say where being among too many begins. */
const SAMPLES = 96;
const SAMPLE_MS = 10_000;
/** What a calm request says for a number, and a late one against it: at least `late`, `veryLate` where it was late by a quarter. */
const WEIGHT = {
  light: { calm: 2, late: 4, veryLate: 12 },
  heavy: { calm: 1, late: 1, veryLate: 3 },
} as const;
const VERY_LATE = 0.25;
/** Less than this is no evidence. */
const LEAST_GAIN = 3;
/** The odds to be late among fewer are at most this share of the odds among too many. */
const CONTRAST = 0.5;
/** What was too much is tried again after this long; where it was about as much as the time before, this many times later … */
const RETRY_MS = 60_000;
const LATER = 2;
const MAX_RETRY_MS = 240_000;
const AS_BEFORE = [0.8, 1.25] as const;
/** … and sooner where less than this share of what was calm is left: the reason may have been another. */
const FAR_LESS = 0.7;
const SOON_MS = 15_000;
/** Late is what takes this many times as long as nearly all took among few … */
const LATE_TIMES = 1.08;
/** … and this over their number more, as the fewer they are, the less is known of what is usual … */
const UNSURE = 1;
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
/** Below this share of what there may be, a late one would be late among fewer, too. */
const ALREADY_CALM = 0.9;

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
  /** How long requests stay inside on average; 0: nobody knows. */
  readonly stayMs: number;
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

interface Seen {
  atMs: number;
  among: number;
  late: boolean;
  light: boolean;
  weight: number;
  /** Of a late one: how many of those were being worked on, to judge by how long it waited and how long they stay. */
  atWork: number;
}

/**
 * How many requests a backend takes before another one begins late, found out from how they fare. A stricter
 * relative of `ConcurrencyLimit`, which lets a reply take twice its time, because a tenant that is alone would
 * rather wait in the backend than here; this one aims at what others would not feel. Heavy and light tenants: see
 * `Headroom`.
 *
 * It grows as long as requests among nearly as many as there may be are not late. When one is, the latest requests are
 * parted by how many they were among, so that most late ones are above and most others below: that many are too many.
 * Where being late is as usual below, it has another reason. As servers change, what was too many is tried again, each
 * time after a longer while.
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
  #retryMs = RETRY_MS;
  readonly #seen = new Latest<Seen>(SAMPLES, unseen);
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

  /** As many as are not too many; infinite while that is not known, or to be tried again. */
  get most(): number {
    return this.#isFound ? this.#tooMany! - 1 : Number.POSITIVE_INFINITY;
  }

  get #isFound(): boolean {
    return this.#tooMany !== undefined && this.#now() - this.#foundAtMs < this.#retryMs;
  }

  /** Enough has been seen to know what is usual. */
  get knowsUsual(): boolean {
    return this.#fewSeen >= MIN_FEW_SAMPLES;
  }

  /** A request that has not begun after this long is late. */
  lateMs(predictedMs: number): number {
    const times = LATE_TIMES + UNSURE / Math.max(MIN_FEW_SAMPLES, Math.min(FEW_SAMPLES, this.#fewSeen));
    return Math.max(predictedMs * this.#usual * times, predictedMs + NOISE_MS);
  }

  /** @param most It is never above. */
  observe(
    {
      startedAtMs,
      among,
      tookMs,
      predictedMs,
      light,
      company,
      unanswered,
      undisturbed,
      stream,
      stayMs,
    }: Sample,
    most: number,
  ): void {
    const ratio = tookMs / predictedMs;
    const late = tookMs > this.lateMs(predictedMs);
    const few = among <= Math.max(1, this.#at / 2) || (!this.knowsUsual && !late && among <= this.#at);
    if (undisturbed && (light || this.#fewSeen < LEARN_EACH) && (few || company === 'little'))
      this.#learnUsual(ratio);
    if (company === 'much')
      if (!late) this.unanswered.calm(startedAtMs, unanswered, light);
      else if (
        light &&
        this.knowsUsual &&
        among < this.#at * ALREADY_CALM &&
        this.unanswered.late(startedAtMs, unanswered, (this.#usual * LATE_TIMES) / ratio, stream)
      )
        return;
    if (late && company !== 'much') return;
    const weights = light ? WEIGHT.light : WEIGHT.heavy;
    const excess = Math.min(1, (tookMs / this.lateMs(predictedMs) - 1) / VERY_LATE);
    const weight = late ? weights.late + (weights.veryLate - weights.late) * excess : weights.calm;
    const waitedMs = tookMs - predictedMs;
    const atWork = late && stayMs > 0 ? (among * stayMs) / (stayMs + waitedMs) : 0;
    const seen = this.#seen.next();
    seen.atMs = this.#now();
    seen.among = among;
    seen.late = late;
    seen.light = light;
    seen.weight = weight;
    seen.atWork = atWork;
    if (late) this.#findTooMany();
    else if (startedAtMs >= this.#changedAtMs && among >= Math.floor(this.#at * NEARLY_ALL))
      this.#observeCalm(among, light, most);
  }

  /** Begins carefully again, and keeps what it knows. */
  restart(): void {
    this.#seen.clear();
    this.unanswered.restart();
    this.#move(Math.min(this.#at, FIRST_GUESS));
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

  /** Parts the latest requests where late ones outweigh calm ones above the most. */
  #findTooMany(): void {
    const sinceMs = this.#now() - SAMPLE_MS;
    const seen = this.#seen.all.filter(({ atMs }) => atMs >= sinceMs).sort((a, b) => b.among - a.among);
    // From the top down. Heavy tenants do not outvote light ones.
    const lateOnes = seen.filter(({ late }) => late).length;
    let lateAbove = 0;
    let gain = 0;
    let lightGain = 0;
    let most = LEAST_GAIN - 1e-9;
    let cut: number | undefined;
    for (const [i, { among, late, light, weight }] of seen.entries()) {
      lateAbove += Number(late);
      gain += late ? weight : -weight;
      if (light) lightGain += late ? weight : -weight;
      if (Math.max(gain, lightGain) <= most || seen[i + 1]?.among === among) continue;
      // What is late among fewer, too, is late for another reason.
      const calmAbove = i + 1 - lateAbove;
      const calmBelow = seen.length - lateOnes - calmAbove;
      if ((lateOnes - lateAbove + 1) * calmAbove > (calmBelow + 1) * lateAbove * CONTRAST) continue;
      most = Math.max(gain, lightGain);
      cut = i + 1;
    }
    if (cut === undefined) return;
    const atWork = Math.max(...seen.slice(0, cut).map((one) => one.atWork));
    const calm = seen.slice(cut).find(({ late }) => !late)?.among ?? 0;
    const tooMany = Math.min(seen[cut - 1]!.among, Math.max(Math.round(atWork), calm) + 1);
    if (this.#isFound && tooMany >= this.#tooMany!) return;
    const times = tooMany / (this.#tooMany ?? 0);
    const isAsBefore = times > AS_BEFORE[0] && times < AS_BEFORE[1];
    if (tooMany < this.#at * FAR_LESS) this.#retryMs = SOON_MS;
    else if (!this.#isFound)
      this.#retryMs = isAsBefore ? Math.min(MAX_RETRY_MS, this.#retryMs * LATER) : RETRY_MS;
    this.#tooMany = Math.max(2, tooMany);
    this.#foundAtMs = this.#now();
    if (this.#at >= this.#tooMany) this.#move(this.#tooMany - 1);
  }

  #move(at: number): void {
    this.#at = at;
    this.#calmOnes = 0;
    this.#calmAmong = Number.POSITIVE_INFINITY;
    this.#changedAtMs = this.#now();
  }

  #learnUsual(ratio: number): void {
    this.#few[this.#fewSeen % FEW_SAMPLES] = ratio;
    this.#fewSeen += 1;
    if (this.#fewSeen < MIN_FEW_SAMPLES || (this.#fewSeen > LEARN_EACH && this.#fewSeen % LEARN_EVERY > 0))
      return;
    const sorted = this.#few.slice(0, this.#fewSeen).sort();
    this.#usual = Math.max(1, sorted[Math.floor(sorted.length * NEARLY_ALL_OF_FEW)]!);
    // What was late against a guess need not have been.
    if (this.#fewSeen !== MIN_FEW_SAMPLES) return;
    this.#tooMany = undefined;
    this.#seen.clear();
  }
}

function unseen(): Seen {
  return { atMs: 0, among: 0, late: false, light: false, weight: 0, atWork: 0 };
}

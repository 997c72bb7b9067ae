import { UnansweredBound } from './unanswered-bound.ts';

/** Nobody knows yet: so few hardly hurt. */
const FIRST_GUESS = 2;
/** So much more, and one at least, may be after some were not late among nearly as many as may be; one where it has been too much before. */
const STEP = 0.08;
const CALM_BEFORE_STEP = 2;
const NEARLY_ALL = 0.9;
/** The latest samples: what so many, and none older than that, tell of where being among too many begins. */
const SAMPLES = 96;
const SAMPLE_MS = 10_000;
/** What one that was not late says for a number, and a late one against it: at least so much, or so much where it was late by a quarter. */
const WEIGHT = {
  light: { calm: 2, late: 4, veryLate: 12 },
  other: { calm: 1, late: 1, veryLate: 3 },
} as const;
const VERY_LATE = 0.25;
/** Less than that is no evidence. */
const LEAST_GAIN = 3;
/** Of the odds to be late above a number, those below it are so much at most. */
const CONTRAST = 0.5;
/** What was too much is tried again after so long; where it was about as much as before, so many times later … */
const RETRY_MS = 60_000;
const LATER = 2;
const MAX_RETRY_MS = 240_000;
const AS_BEFORE = [0.8, 1.25] as const;
/** … and sooner where less than so much of what was calm is left: it may have been for something else. */
const FAR_LESS = 0.7;
const SOON_MS = 15_000;
/** Late is what takes so much longer than nearly all did among few … */
const LATE_TIMES = 1.08;
/** … and, of so many samples, this by their number more … */
const UNSURE = 1;
/** … this much at least: the rest is noise of the machine. */
const NOISE_MS = 5;
const NEARLY_ALL_OF_FEW = 0.95;
const FEW_SAMPLES = 128;
/** Of so few nobody can tell what is usual. */
const MIN_FEW_SAMPLES = 8;
const LEARN_EVERY = 8;
const LEARN_EACH = 32;
/** As long as nobody can tell: too strict holds back until there are few, and then it is known; too lax would stay so. */
const USUAL_RATIO = 1;
/** Of what was calm among so many: what is late there would be so among fewer, too. */
const ALREADY_CALM = 0.9;

/** How a request fared. */
export interface Fared {
  readonly startedAtMs: number;
  /** How many were inside, itself included. */
  readonly among: number;
  /** Until it began. */
  readonly tookMs: number;
  readonly predictedMs: number;
  /** How long such requests stay inside, on average, if that is known. */
  readonly stayMs?: number;
}

/** And among whom. */
export interface Sample extends Fared {
  /** Its tenant has less than its share, and nothing in line: for such ones there has to be room. */
  readonly light: boolean;
  /** It is the first token that took so long, not a whole reply. */
  readonly stream: boolean;
  /** The most that any tenant had inside. Among such as have little it fared as they do by themselves; it is nobody's fault, if nobody has much. */
  readonly company: 'little' | 'some' | 'much';
  /** Of those that have much, how many had no answer when it came, itself included if it is one of them; one at least, if one came while it waited. */
  readonly unanswered: number;
  /** No other one of those that have much was without an answer while it waited. */
  readonly undisturbed: boolean;
}

interface Seen {
  readonly atMs: number;
  readonly among: number;
  readonly late: boolean;
  readonly light: boolean;
  readonly weight: number;
  /** How many of those were at work, as far as it can be told from how long this one waited and how long they stay. */
  readonly atWork: number;
}

/**
 * How many requests a backend takes before another one begins late, found out from how they fare: it grows by an eighth whenever those were
 * not late that came in among nearly as many as there may be, and ends where being late begins: at the number that tells late ones best from others. A stricter relative of
 * `ConcurrencyLimit`: that one lets a reply take twice its time, because one tenant alone would rather wait in the backend than here; this one
 * aims at what others would not feel. Servers change: what was too much is tried again after a while, each time later.
 *
 * What is late is measured against what is usual for those that have little where nobody who has much disturbs them; until enough of them came, for all that nobody disturbs. As long as that is not known,
 * against a strict guess; what was cut for that is forgiven. Who is late among no more than was calm once is late for prompts in front of it: of those that have much fewer may be without an
 * answer then (`UnansweredBound`).
 */
export class Knee {
  /** Of those that have much, how many may be inside without an answer. */
  readonly unanswered: UnansweredBound;
  readonly #now: () => number;
  #at = FIRST_GUESS;
  /** Since it changed last. */
  #calmOnes = 0;
  /** The fewest that they were among. */
  #calmAmong = Number.POSITIVE_INFINITY;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  /** Among so many they are late; undefined: none ever was. */
  #tooMany: number | undefined;
  #foundAtMs = Number.NEGATIVE_INFINITY;
  #retryMs = RETRY_MS;
  #seen: Seen[] = [];
  /** Observed against predicted, among few; of late. */
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

  /** More than so many would be too many, as far as that is known and not to be tried again. */
  get most(): number {
    return this.#isFound ? this.#tooMany! - 1 : Number.POSITIVE_INFINITY;
  }

  get #isFound(): boolean {
    return this.#tooMany !== undefined && this.#now() - this.#foundAtMs < this.#retryMs;
  }

  /** What is usual was seen often enough. */
  get knowsUsual(): boolean {
    return this.#fewSeen >= MIN_FEW_SAMPLES;
  }

  /** Who has not begun after so long is late. */
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
      stayMs = 0,
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
    const atMs = this.#now();
    const weights = light ? WEIGHT.light : WEIGHT.other;
    const excess = Math.min(1, (tookMs / this.lateMs(predictedMs) - 1) / VERY_LATE);
    const weight = late ? weights.late + (weights.veryLate - weights.late) * excess : weights.calm;
    const waitedMs = tookMs - predictedMs;
    const atWork = late && stayMs > 0 ? (among * stayMs) / (stayMs + waitedMs) : 0;
    this.#seen.push({ atMs, among, late, light, weight, atWork });
    if (this.#seen.length > SAMPLES) this.#seen.shift();
    if (late) this.#findTooMany();
    else if (startedAtMs >= this.#changedAtMs && among >= Math.floor(this.#at * NEARLY_ALL))
      this.#observeCalm(among, light, most);
  }

  /** Carefully, with what is known. */
  restart(): void {
    this.#seen = [];
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

  /** Cuts what was seen in two where it costs least, with late ones below and others above counting against it. */
  #findTooMany(): void {
    const sinceMs = this.#now() - SAMPLE_MS;
    const seen = this.#seen.filter(({ atMs }) => atMs >= sinceMs).sort((a, b) => b.among - a.among);
    // From the top down: first all are below. What those say that have little is not outvoted.
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
      // Who is late among fewer, too, is late for something else.
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
    this.#seen = [];
  }
}

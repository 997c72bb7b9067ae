import { UnansweredBound } from './unanswered-bound.ts';

/** Nobody knows yet: a burst of so many hardly hurts. */
const FIRST_GUESS = 4;
/** So much more, and one at least, may be after some were not late among nearly as many as may be: as many as were let in more, but no more than these. */
const FIRST_GROWTH = 1.1;
const CALM_IN_A_ROW = 4;
const NEARLY_ALL = 0.75;
/** As long as some come that have little, it is never so much above what they have felt. */
const UNFELT = 1.4;
const UNFELT_MS = 5_000;
/** Of what was calm among so many: what is late there would be so among fewer, too. */
const ALREADY_CALM = 0.9;
const MAX_CUT = 0.5;
const MIN_CUT = 0.9;
/** Of those that have much, so large a share has to be late before it counts; of those that have little each one does. */
const LATE_SHARE = 0.4;
const SHARE_WEIGHT = 1 / 8;
/** Of those that have little, a late one counts until so many calm ones came … */
const FORGIVEN_AFTER = 20;
/** … and two count, or one that is later than this against what is late. */
const FAR_TOO_LATE = 2;
/** Growth per calm sample of those that have little. */
const GROWTH = 0.001;
/** The same while it is well below where somebody was late last. */
const REGROWTH = 0.02;
const WELL_BELOW = 0.65;
/** What was too much once comes down so far, if it is too much even there. */
const LESS_TOO_MUCH = 0.7;
/** For so long those that have little are remembered, and nobody else's word makes it grow. */
const LIGHT_MS = 30_000;
/** Late is what takes so much longer than nearly all did among few … */
const LATE = 1.08;
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

/** What is given up for others' sake is at most half of what was calm once … */
const LEAST_OF_CALM = 0.5;
/** … which is forgotten to two thirds in this time. */
const FORGET_MS = 600_000;

/** How a request fared. */
export interface Fared {
  readonly startedAtMs: number;
  /** How many were inside, itself included. */
  readonly among: number;
  /** Until it began. */
  readonly tookMs: number;
  readonly predictedMs: number;
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
}

/**
 * How many requests a backend takes before another one begins late, found out from how they fare. A stricter relative of
 * `ConcurrencyLimit`: that one lets a reply take twice its time, because one tenant alone would rather wait in the backend than here; this one
 * aims at what others would not feel.
 *
 * It grows by tenths until requests are late for the first time: what has been let in cannot be taken back, and everybody waits for it. From then on each late one of
 * those that have little costs a tenth, or as much as it was late, and a calm one adds so little that some 2 % of them may be late.
 *
 * What is late is measured against what is usual for those that have little where nobody who has much disturbs them. As long as that is not known, against a strict
 * guess; what was cut for that is forgiven. Who is late among no more than was calm once is late for prompts in front of it: of those that have much fewer may be without an
 * answer then (`UnansweredBound`).
 */
export class Knee {
  /** Of those that have much, how many may be inside without an answer. */
  readonly unanswered: UnansweredBound;
  readonly #now: () => number;
  #at = FIRST_GUESS;
  #calmInARow = 0;
  /** So many in a row, before there may be more. */
  #toBeCalm = 1;
  /** Among so many one that has little was not late. */
  #feltCalmAmong = FIRST_GUESS;
  #lateOnes = 0;
  #grownAtMs = Number.NEGATIVE_INFINITY;
  #most = FIRST_GUESS;
  #mostAtMs = 0;
  #lateShare = 0;
  /** About where it was when somebody was late. */
  #tooMuch = Number.POSITIVE_INFINITY;
  #cutAtMs = Number.NEGATIVE_INFINITY;
  #lightAtMs = Number.NEGATIVE_INFINITY;
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

  /** What is usual was seen often enough. */
  get knowsUsual(): boolean {
    return this.#fewSeen >= MIN_FEW_SAMPLES;
  }

  /** Who has not begun after so long is late. */
  lateMs(predictedMs: number): number {
    return Math.max(predictedMs * this.#usual * LATE, predictedMs + NOISE_MS);
  }

  /** So many were inside without anybody being late, not long ago. */
  get calmAmong(): number {
    return this.#most * Math.exp((this.#mostAtMs - this.#now()) / FORGET_MS);
  }

  /** @param most It is never above. */
  observe(
    { startedAtMs, among, tookMs, predictedMs, light, company, unanswered, stream }: Sample,
    most: number,
  ): void {
    const ratio = tookMs / predictedMs;
    if (light) this.#lightAtMs = this.#now();
    const few = among <= Math.max(2, this.#at / 2);
    if (light && (few || company === 'little') && unanswered === 0) this.#learnUsual(ratio);
    const factor = (this.#usual * LATE) / ratio;
    const late = tookMs > this.lateMs(predictedMs);
    // Who is late among no more than was calm once is late for something else.
    const mostCalm = this.calmAmong * ALREADY_CALM;
    if (light && company === 'much')
      if (!late) this.unanswered.calm(startedAtMs, unanswered);
      else if (
        this.knowsUsual &&
        among < mostCalm &&
        this.unanswered.late(startedAtMs, unanswered, factor, stream)
      )
        return;
    // What is late among few is not late for being among many; others tell of what is no more.
    if (few || startedAtMs < this.#cutAtMs) return;
    if (late && (company !== 'much' || among > Math.max(this.#at * 1.1, this.#at + 2))) return;
    if (!light) this.#lateShare += (Number(late) - this.#lateShare) * SHARE_WEIGHT;
    if (late) this.#observeLate(among, factor, light, most);
    else if (among >= this.#at * NEARLY_ALL) this.#observeCalm(startedAtMs, among, light, most);
  }

  #observeLate(among: number, factor: number, light: boolean, most: number): void {
    this.#calmInARow = 0;
    if (light) this.#lateOnes += factor < 1 / FAR_TOO_LATE ? 2 : 1;
    const isFirst = this.#tooMuch === Number.POSITIVE_INFINITY;
    if (light ? this.#lateOnes < 2 && !isFirst : this.#lateShare < LATE_SHARE) return;
    const before = Math.min(this.#at, most);
    this.#tooMuch = isFirst ? before : Math.max(before, this.#tooMuch * LESS_TOO_MUCH);
    const cut = Math.min(before, among) * Math.min(MIN_CUT, Math.max(MAX_CUT, factor));
    this.#at = Math.max(1, cut, this.calmAmong * LEAST_OF_CALM);
    this.#lateOnes = 0;
    this.#lateShare = 0;
    this.#cutAtMs = this.#now();
  }

  #observeCalm(startedAtMs: number, among: number, light: boolean, most: number): void {
    if (light) this.#lateOnes = Math.max(0, this.#lateOnes - 1 / FORGIVEN_AFTER);
    if (light) this.#feltCalmAmong = Math.max(this.#feltCalmAmong, among);
    if (this.#tooMuch === Number.POSITIVE_INFINITY) {
      if (this.#at > this.#feltCalmAmong * UNFELT && this.#now() - this.#lightAtMs < UNFELT_MS) return;
      // Growth has to be felt before there is more of it.
      if (startedAtMs >= this.#grownAtMs) this.#calmInARow += 1;
      if (this.#calmInARow < this.#toBeCalm) return;
      this.#calmInARow = 0;
      this.#grownAtMs = this.#now();
      const before = Math.floor(this.#at);
      this.#grow(Math.max(FIRST_GROWTH, (before + 1) / this.#at), among, most);
      this.#toBeCalm = Math.min(CALM_IN_A_ROW, Math.max(1, Math.floor(this.#at) - before));
    } else if (this.#at < this.#tooMuch * WELL_BELOW) this.#grow(1 + REGROWTH, among, most);
    else if (light || this.#now() - this.#lightAtMs > LIGHT_MS) this.#grow(1 + GROWTH, among, most);
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
    // The largest of so few that one has to be it tells of that one alone.
    this.#usual = Math.max(
      1,
      sorted[Math.min(Math.floor(sorted.length * NEARLY_ALL_OF_FEW), sorted.length - 2)]!,
    );
    // What was late against a guess need not have been.
    if (this.#fewSeen === MIN_FEW_SAMPLES) this.#tooMuch = Number.POSITIVE_INFINITY;
  }
}

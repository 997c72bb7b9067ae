import type { ConcurrencyBounds } from '../../core/backend.ts';
import { upperMedian } from './order-statistics.ts';

/** What an answer is: the first token of a stream, or a whole reply. */
export type AnswerKind = 'first-token' | 'whole';

/** An uncongested backend answers within … */
export interface Tolerance {
  /** … this many times what was predicted for the first token … */
  readonly firstToken: number;
  /** … or for a whole reply, whose duration depends on much besides congestion … */
  readonly whole: number;
  /** … and this much more, so that fast backends are not throttled for what nobody feels. */
  readonly slackMs: number;
  /** Until the first cut the limit doubles as soon as all that it allows have begun in time, however few they are. */
  readonly eager: boolean;
}

const TOLERANCE: Tolerance = { firstToken: 2, whole: 3, slackMs: 200, eager: false };
const WINDOW_SAMPLES = 16;
const WINDOW_MS = 500;
const MIN_SAMPLES = 3;
const MAX_CUT = 0.5;
/** Smaller cuts are not made, since nobody could tell whether they helped. */
const MIN_CUT = 0.8;
/** Of the limit: among this share of it its effect is felt. */
const NEARLY_ALL = 0.9;
const REFUSED_FACTOR = 0.9;
/** In this time, slowness that had nothing to do with load is forgotten to two thirds; by then predictions have risen. */
const FORGET_MS = 60_000;

/** That requests have no answer is no reason for fewer than this: nothing piles up there. */
const UNSUSPICIOUS = 32;
/** So many answers tell whether a suspicion was right. */
const ENOUGH_ANSWERS = 8;

/** A request on its way into the backend. */
export interface Entry {
  readonly startedAtMs: number;
  /** How many were inside then, itself included. */
  readonly among: number;
}

/** Medians of several requests. */
export interface Seen {
  /** observed / target */
  readonly lateness: number;
  readonly among: number;
}

/**
 * How many requests a backend should have inside it: so many that it is busy, so few that they do not queue there, where
 * nobody can take them elsewhere. A gradient on observed against predicted latency, in the manner of Netflix's
 * concurrency-limits (Gradient2): when the median of a window exceeds its target, the limit is cut in proportion; while
 * the limit is what holds requests back and the target is met, it grows by its square root.
 *
 *   - It grows on the word of requests that were among nearly as many as it allows, and is cut on that of requests since the
 *     last cut. Others tell of another time: a limit that believes them has doubled twice before the first doubling is felt.
 *   - What is cut is the number among which requests were late, not a limit that nobody reached.
 *   - Where fewer requests are not faster, they were not slow for being many (other prompts, another's load): such a cut
 *     is taken back, and what is slow counts as normal for a while.
 *   - Where requests should have been answered long ago (`Overdue`), as many are taken to be right as would be in time.
 *     That is a suspicion, which is taken back if their answers turn out to have been that long.
 */
export class ConcurrencyLimit {
  readonly #max: number;
  readonly #now: () => number;
  readonly #tolerance: Tolerance;
  #limit: number;
  #inFlight = 0;
  #lent = 0;
  #windowSinceMs = 0;
  #lateness: number[] = [];
  #among: number[] = [];
  #cutAtMs = Number.NEGATIVE_INFINITY;
  #everCut = false;
  /** It was the backend that said so, the last time that it was too much. */
  #isRefusing = false;
  /** A cut whose effect has yet to be seen: what led to it. */
  #trial: (Seen & { readonly limit: number }) | undefined;
  /** The limit before requests without an answer lowered it, and what has been heard of those since. */
  #suspicion: { readonly limit: number; answers: number; inTime: number } | undefined;
  /** Lateness that was found not to come from load. */
  #normal = 1;
  #normalSinceMs = 0;

  constructor({ initial, max }: ConcurrencyBounds, now: () => number, tolerance = TOLERANCE) {
    this.#max = max;
    this.#limit = Math.min(initial, max);
    this.#now = now;
    this.#tolerance = tolerance;
  }

  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** It has been too much once: until then it is not known where too much begins. */
  get everCut(): boolean {
    return this.#everCut;
  }

  get free(): boolean {
    return this.#inFlight < this.limit && this.#inFlight + this.#lent < this.#max;
  }

  /** More are inside than were found to be too many since they came, by answers that were late: the backend refuses nobody. */
  get isExceeded(): boolean {
    return !this.#isRefusing && this.#inFlight > this.limit && this.#inFlight + this.#lent < this.#max;
  }

  /** There would be room for one more, if one that has lent its place was gone. */
  get isFullOfLent(): boolean {
    return this.#inFlight < this.limit && this.#inFlight + this.#lent >= this.#max;
  }

  take(): Entry {
    this.#inFlight += 1;
    return { startedAtMs: this.#now(), among: this.#inFlight };
  }

  give(): void {
    this.#inFlight -= 1;
  }

  /** One that is inside, and has nothing done for it, leaves its place to others. */
  lend(): void {
    this.#inFlight -= 1;
    this.#lent += 1;
  }

  takeBack(): void {
    this.#inFlight += 1;
    this.#lent -= 1;
  }

  /** A stream began, or a whole reply came, `observedMs` after it was asked for. */
  answered(kind: AnswerKind, observedMs: number, predictedMs: number, entry: Entry): void {
    const lateness = observedMs / this.inTimeMs(kind, predictedMs);
    if (entry.startedAtMs < this.#cutAtMs) {
      this.#tellSuspicion(lateness);
      return;
    }
    if (this.#lateness.length === 0) this.#windowSinceMs = this.#now();
    this.#lateness.push(lateness);
    this.#among.push(entry.among);
    const samples = this.#lateness.length;
    const ageMs = this.#now() - this.#windowSinceMs;
    const enough = this.#isEager ? Math.min(WINDOW_SAMPLES, Math.ceil(this.limit / 2)) : WINDOW_SAMPLES;
    if (samples >= enough || (ageMs >= WINDOW_MS && samples >= MIN_SAMPLES)) this.#adapt();
  }

  /** An uncongested backend answers within this. */
  inTimeMs(kind: AnswerKind, predictedMs: number): number {
    const { firstToken, whole, slackMs } = this.#tolerance;
    return predictedMs * (kind === 'whole' ? whole : firstToken) + slackMs;
  }

  /** Requests have no answer after this many times the time that would be in time. */
  suspect({ lateness, among }: Seen): void {
    const limit = Math.max(UNSUSPICIOUS, among / lateness);
    if (limit > this.#limit * MIN_CUT) return;
    this.#suspicion ??= { limit: this.#limit, answers: 0, inTime: 0 };
    this.#trial = { lateness, among, limit: this.#suspicion.limit };
    this.#cut(limit);
  }

  /** The backend said that it has too much to do. */
  refused(startedAtMs: number): void {
    if (startedAtMs < this.#cutAtMs) return;
    this.#trial = undefined;
    this.#lower(Math.min(this.#limit, this.#inFlight) * REFUSED_FACTOR);
    this.#isRefusing = true;
  }

  #adapt(): void {
    const among = this.#isEager ? Math.max(...this.#among) : upperMedian(this.#among)!;
    const seen = { lateness: upperMedian(this.#lateness)!, among };
    const before = this.#trial;
    this.#trial = undefined;
    if (before !== undefined && isVain(before, seen)) {
      this.#normal = seen.lateness;
      this.#normalSinceMs = this.#now();
      this.#grow(before.limit);
      return;
    }
    const factor = this.#normalNow() / seen.lateness;
    if (factor < MIN_CUT) {
      this.#trial = { ...seen, limit: this.#limit };
      this.#lower(Math.min(this.#limit, seen.among * Math.max(factor, MAX_CUT)));
    } else if (factor >= 1 && seen.among >= this.limit * NEARLY_ALL) this.#grow(this.#limit + this.#growth);
    else this.#startWindow();
  }

  get #isEager(): boolean {
    return this.#tolerance.eager && !this.#everCut;
  }

  /** At first by doubling (TCP's slow start); by one where there would be refusals again. */
  get #growth(): number {
    if (!this.#everCut) return this.#limit;
    return this.#isRefusing ? 1 : Math.sqrt(this.#limit);
  }

  #normalNow(): number {
    const forgotten = 1 - Math.exp(-(this.#now() - this.#normalSinceMs) / FORGET_MS);
    return Math.max(1, this.#normal - (this.#normal - 1) * forgotten);
  }

  #lower(limit: number): void {
    this.#everCut = true;
    this.#suspicion = undefined;
    this.#cut(limit);
  }

  #cut(limit: number): void {
    this.#isRefusing = false;
    this.#limit = Math.max(1, limit);
    this.#cutAtMs = this.#now();
    this.#startWindow();
  }

  /** One that was inside before the cut has its answer. */
  #tellSuspicion(lateness: number): void {
    const suspicion = this.#suspicion;
    if (suspicion === undefined) return;
    suspicion.answers += 1;
    if (lateness <= 1) suspicion.inTime += 1;
    if (suspicion.answers < ENOUGH_ANSWERS) return;
    this.#suspicion = undefined;
    if (suspicion.inTime < ENOUGH_ANSWERS / 2) return;
    this.#trial = undefined;
    this.#grow(Math.max(this.#limit, suspicion.limit));
  }

  #grow(limit: number): void {
    this.#limit = Math.min(this.#max, limit);
    this.#startWindow();
  }

  #startWindow(): void {
    this.#lateness = [];
    this.#among = [];
  }
}

/**
 * Where requests queue, a share fewer of them should wait about that share less. The cut was in vain if not even half
 * of that came of it.
 */
function isVain(before: Seen, after: Seen): boolean {
  const share = after.among / before.among;
  return share <= MIN_CUT && after.lateness > Math.max(1, before.lateness * (1 + share) * 0.5);
}

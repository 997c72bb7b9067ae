import { Latest } from '../../core/latest.ts';

/** The latest requests, as many and no older than this, say where being among too many begins. */
const SAMPLES = 96;
const SAMPLE_MS = 10_000;
/**
 * Where more than these were answered in the last such time, only as many are kept of all, so that they tell of more
 * than a moment.
 */
const MOST_KEPT = 50;
const WINDOW_MS = 250;
/**
 * What a calm request says for a number, and a late one against it: at least `late`, `veryLate` where it was late by
 * a quarter.
 */
const WEIGHT = {
  light: { calm: 2, late: 4, veryLate: 12 },
  heavy: { calm: 1, late: 1, veryLate: 3 },
} as const;
const VERY_LATE = 0.25;
/** Less than this is no evidence. */
const LEAST_GAIN = 3;
/** The odds to be late among fewer are at most this share of the odds among too many. */
const CONTRAST = 0.5;

/** How a request fared. */
export interface Fared {
  readonly startedAtMs: number;
  /** How many were inside, itself included. */
  readonly among: number;
  /** Until its reply began. */
  readonly tookMs: number;
  readonly predictedMs: number;
}

/** What of it matters here. */
export interface Witness extends Fared {
  /** Its tenant is light, and has nothing in line: for such requests there has to be room. */
  readonly light: boolean;
  /** How long requests stay inside on average; 0: nobody knows. */
  readonly stayMs: number;
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

/** What the latest requests say of how many are too many, for `Knee`. */
export class KneeEvidence {
  readonly #seen = new Latest<Seen>(SAMPLES, unseen);
  #windowAtMs = 0;
  /** How many were answered in the last window, and in this one. */
  #before = 0;
  #answered = 0;
  /** How many of those that come may be kept. */
  #mayKeep = 0;

  /**
   * @param inTimeMs It is late if it took longer.
   * @returns Whether it counts; otherwise it is left aside, since enough say the same.
   */
  add({ among, tookMs, predictedMs, light, stayMs }: Witness, inTimeMs: number, nowMs: number): boolean {
    if (!this.#keeps(nowMs)) return false;
    const late = tookMs > inTimeMs;
    const weights = light ? WEIGHT.light : WEIGHT.heavy;
    const excess = Math.min(1, (tookMs / inTimeMs - 1) / VERY_LATE);
    const weight = late ? weights.late + (weights.veryLate - weights.late) * excess : weights.calm;
    const seen = this.#seen.next();
    seen.atMs = nowMs;
    seen.among = among;
    seen.late = late;
    seen.light = light;
    seen.weight = weight;
    seen.atWork = late && stayMs > 0 ? (among * stayMs) / (stayMs + tookMs - predictedMs) : 0;
    return true;
  }

  /** Whether one more is kept. */
  #keeps(nowMs: number): boolean {
    if (nowMs - this.#windowAtMs >= WINDOW_MS) {
      this.#before = nowMs - this.#windowAtMs < 2 * WINDOW_MS ? this.#answered : 0;
      this.#answered = 0;
      this.#windowAtMs = nowMs;
    }
    this.#answered += 1;
    this.#mayKeep += Math.min(1, MOST_KEPT / this.#before);
    if (this.#mayKeep < 1) return false;
    this.#mayKeep -= 1;
    return true;
  }

  clear(): void {
    this.#seen.clear();
  }

  /**
   * Parts the latest requests where late ones outweigh calm ones above the most.
   *
   * @returns So many are too many; undefined: nothing says so
   */
  tooMany(nowMs: number): number | undefined {
    const sinceMs = nowMs - SAMPLE_MS;
    const seen = this.#seen.all.filter(({ atMs }) => atMs >= sinceMs).sort((a, b) => b.among - a.among);
    const cut = partingOf(seen);
    if (cut === undefined) return undefined;
    const atWork = Math.max(...seen.slice(0, cut).map((one) => one.atWork));
    const calm = seen.slice(cut).find(({ late }) => !late)?.among ?? 0;
    return Math.min(seen[cut - 1]!.among, Math.max(Math.round(atWork), calm) + 1);
  }
}

/** @param seen From the top down. @returns How many of them were among too many */
function partingOf(seen: readonly Readonly<Seen>[]): number | undefined {
  const lateOnes = seen.filter(({ late }) => late).length;
  let lateAbove = 0;
  let gain = 0;
  // Heavy tenants do not outvote light ones.
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
  return cut;
}

function unseen(): Seen {
  return { atMs: 0, among: 0, late: false, light: false, weight: 0, atWork: 0 };
}

import type { AnswerKind, Entry, Seen } from './concurrency-limit.ts';
import type { Timing } from './model-timings.ts';
import { upperMedian } from './order-statistics.ts';

/** As many are watched at a time … */
const WATCHED = 32;
/** … until they are answered, or have not been for this many times the time that is still in time. */
const LONG_OVERDUE = 1.5;
/** Half of as many as turned out last have to be overdue. */
const TURNED_OUT = 16;
/** Nobody looks more often. */
const LOOK_EVERY_MS = 50;

/** A request, and what is expected of it. */
export interface Awaited {
  readonly entry: Entry;
  readonly timing: Timing;
  /** Of its body: what `timing` goes by. */
  readonly sizeBytes: number;
  readonly kind: AnswerKind;
  /** `gone`: it has left without an answer, which says nothing. */
  fate: 'unknown' | 'answered' | 'gone';
}

/**
 * Requests that should have been answered long ago. How a request fared is heard when it is answered; where many queue
 * in a backend, that is when it is too late.
 *
 * It goes by requests that are watched from their beginning, whether they are answered or not: among those that happen to
 * be inside, ones that take long are always many, however rare they are. In time is what nearly all replies of late were,
 * so that long ones are no surprise where there are some; and of a prompt unlike any before nothing is expected.
 */
export class Overdue {
  readonly #inTimeMs: (kind: AnswerKind, predictedMs: number) => number;
  #watched: Awaited[] = [];
  readonly #turnedOut: Awaited[] = [];
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** @param inTimeMs What is no longer than this is no sign of anything. */
  constructor(inTimeMs: (kind: AnswerKind, predictedMs: number) => number) {
    this.#inTimeMs = inTimeMs;
  }

  began(request: Awaited): void {
    if (this.#watched.length < WATCHED) this.#watched.push(request);
  }

  /** @returns How late they are, and among how many they came; undefined: all is as usual, or nobody knows. */
  look(nowMs: number): Seen | undefined {
    if (nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return undefined;
    this.#lookedAtMs = nowMs;
    this.#watched = this.#watched.filter((request) => !this.#hasTurnedOut(request, nowMs));
    this.#turnedOut.splice(0, this.#turnedOut.length - TURNED_OUT);
    const overdue = this.#turnedOut.filter((request) => this.#lateness(request, nowMs) >= LONG_OVERDUE);
    if (overdue.length < TURNED_OUT / 2) return undefined;
    return {
      lateness: upperMedian(overdue.map((request) => this.#lateness(request, nowMs)))!,
      among: upperMedian(overdue.map(({ entry }) => entry.among))!,
    };
  }

  #hasTurnedOut(request: Awaited, nowMs: number): boolean {
    if (request.fate === 'gone') return true;
    if (request.fate === 'unknown' && this.#lateness(request, nowMs) < LONG_OVERDUE) return false;
    this.#turnedOut.push(request);
    return true;
  }

  /** Of one without an answer; 0: nobody can tell. */
  #lateness({ entry, timing, sizeBytes, kind, fate }: Awaited, nowMs: number): number {
    if (fate !== 'unknown') return 0;
    const predictedMs = timing.predictMs(sizeBytes);
    if (predictedMs === undefined) return 0;
    const ageMs = nowMs - entry.startedAtMs;
    const lateness = ageMs / this.#inTimeMs(kind, predictedMs);
    if (lateness < LONG_OVERDUE) return 0;
    const longMs = timing.p95Ms(sizeBytes);
    return longMs === undefined ? 0 : Math.min(lateness, ageMs / longMs);
  }
}

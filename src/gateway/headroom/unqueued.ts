import {
  type AnswerKind,
  ConcurrencyLimit,
  type Entry,
  type Tolerance,
} from '../backend/concurrency-limit.ts';

/** This many always get in: fewer would keep no backend busy, and a tenant that has just begun would wait for nothing. */
const UNHURT = 4;
/** Above what a first token takes beside a full batch: a stricter one would leave a batching server half empty. */
const TOLERANCE: Tolerance = { firstToken: 2, whole: 2, slackMs: 100, eager: true };
/** Where nothing has been heard of a backend for this long … */
const UNHEARD_MS = 500;
/**
 * … one more may come in after this long, another after twice as long, and so on: nobody should wait in vain for a backend that
 * has not shown that it is full.
 */
const TRICKLE_MS = 50;

/**
 * How many may be inside a backend without waiting there for each other. A tenant that has its part of them gets no more
 * in, even if nobody else is there: what queues in the backend cannot be taken back, and a newcomer stands behind it,
 * while waiting here keeps no backend from being busy. A stricter `ConcurrencyLimit` that begins with few, and doubles until
 * somebody is late.
 */
export class Unqueued {
  readonly #limit: ConcurrencyLimit;
  readonly #now: () => number;
  #enteredAtMs = Number.NEGATIVE_INFINITY;
  /** How many have come in since something was heard. */
  #unheard = 0;
  /** How a request fared. */
  #heardAtMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#limit = new ConcurrencyLimit({ initial: UNHURT, max: Number.POSITIVE_INFINITY }, now, TOLERANCE);
    this.#now = now;
  }

  /** Whether one more may come to so many. */
  allows(inFlight: number): boolean {
    return inFlight < Math.max(UNHURT, this.#limit.limit);
  }

  /** Whether one more may come to as many as are allowed, unless it is known by other means that the backend is full. */
  get trickles(): boolean {
    const nowMs = this.#now();
    const beyond = Math.max(1, this.#unheard - UNHURT + 1);
    return nowMs - this.#heardAtMs >= UNHEARD_MS && nowMs - this.#enteredAtMs >= TRICKLE_MS * beyond;
  }

  /** More may soon be let in than now. */
  opensTo(most: number): boolean {
    return !this.#limit.everCut && this.#limit.limit < most;
  }

  enter(): void {
    this.#limit.take();
    this.#enteredAtMs = this.#now();
    this.#unheard += 1;
  }

  leave(): void {
    this.#limit.give();
  }

  /** A reply has begun, or a whole one is there, so long after it came in. */
  answered(kind: AnswerKind, tookMs: number, predictedMs: number, entry: Entry): void {
    this.#heardAtMs = this.#now();
    this.#unheard = 0;
    this.#limit.answered(kind, tookMs, predictedMs, entry);
  }
}

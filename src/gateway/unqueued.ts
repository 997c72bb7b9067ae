import { ConcurrencyLimit, type Entry, type Tolerance } from './concurrency-limit.ts';

/** This many get in until it is known that they are too many: fewer would keep no backend busy. */
const UNHURT = 8;
/** A request may wait for this share of the time that one stays, or until one of those inside leaves … */
const WAIT = 0.05;
/** … and nobody notices less than this. */
const LEAST_SLACK_MS = 20;
/** Where nothing has been heard of a backend for this long, since the first request … */
const UNHEARD_MS = 500;
/** … one more may come in now and then: nobody should wait in vain for a backend that has not shown that it is full. */
const TRICKLE_MS = 50;

/**
 * How many may be inside a backend without waiting there for each other. A tenant gets no more in, even if nobody
 * else is there: what queues in the backend cannot be taken back, and a newcomer stands behind it, while waiting
 * here keeps no backend from being busy. A stricter `ConcurrencyLimit` that begins with few, and doubles until
 * somebody is late.
 */
export class Unqueued {
  readonly #limit: ConcurrencyLimit;
  readonly #now: () => number;
  /** One stays, on average. */
  #stayMs = 0;
  #enteredAtMs = Number.NEGATIVE_INFINITY;
  #firstAtMs: number | undefined;
  /** A request has told how it fared. */
  #heard = false;

  constructor(now: () => number) {
    const slackMs = () =>
      Math.max(LEAST_SLACK_MS, this.#stayMs * Math.max(WAIT, 1 / Math.max(1, this.#limit.inFlight)));
    const tolerance: Tolerance = { firstToken: 1.25, whole: 2, slackMs, eager: true };
    this.#limit = new ConcurrencyLimit({ initial: UNHURT, max: Number.POSITIVE_INFINITY }, now, tolerance);
    this.#now = now;
  }

  /** Whether one more may come to so many. */
  allows(inFlight: number): boolean {
    if (inFlight < this.#limit.limit) return true;
    if (this.#heard || this.#firstAtMs === undefined) return false;
    const nowMs = this.#now();
    return nowMs - this.#firstAtMs >= UNHEARD_MS && nowMs - this.#enteredAtMs >= TRICKLE_MS;
  }

  /** More may soon be let in than now. */
  opensTo(most: number): boolean {
    return !this.#limit.everCut && this.#limit.limit < most;
  }

  enter(): void {
    this.#limit.take();
    this.#enteredAtMs = this.#now();
    this.#firstAtMs ??= this.#enteredAtMs;
  }

  leave(): void {
    this.#limit.give();
  }

  /**
   * A reply has begun, or a whole one is there, so long after it came in.
   *
   * @param stayMs How long one stays, on average; 0: nobody knows.
   */
  answered(
    kind: 'first-token' | 'whole',
    tookMs: number,
    predictedMs: number,
    entry: Entry,
    stayMs: number,
  ): void {
    this.#stayMs = stayMs;
    this.#heard = true;
    this.#limit.answered(kind, tookMs, predictedMs, entry);
  }
}

const FIRST_GUESS = 8;
const GROWTH = 1.25;
/** More than any limit. */
const MOST = 1e6;
/** Of what there may be, among so many its effect is felt. */
const NEARLY_ALL = 0.9;
/** So many times what was predicted, and so much more, is no queue yet. */
const TOLERANCE = 1.5;
const SLACK_MS = 20;

/** How a request fared, as far as it matters here. */
export interface Fared {
  readonly startedAtMs: number;
  /** How many were inside, itself included. */
  readonly among: number;
  /** Until it began. */
  readonly tookMs: number;
  readonly predictedMs: number;
}

/**
 * How many requests of a tenant that is alone at a backend are let in: all that do not wait there. Whoever comes second waits for what the first was let in,
 * and that cannot be taken back. Grows step by step, each of them felt before the next.
 */
export class LoneStart {
  readonly #now: () => number;
  #at = FIRST_GUESS;
  #grownAtMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  get at(): number {
    return Math.floor(this.#at);
  }

  observe({ startedAtMs, among, tookMs, predictedMs }: Fared): void {
    if (among < this.#at * NEARLY_ALL || startedAtMs <= this.#grownAtMs) return;
    if (tookMs > predictedMs * TOLERANCE + SLACK_MS) return;
    this.#at *= GROWTH;
    this.#grownAtMs = this.#now();
  }

  /** One has left of which nobody can say how it should have fared: such ones are no reason to hold anybody back. */
  unjudged(): void {
    this.#at = Math.min(MOST, this.#at * GROWTH);
  }
}

/** Enough to keep Redis at work for the time of a way there and back on one machine. */
const FEWEST = 8;
const MOST = 48;
/** After so long without anything to send, what was found out is out of date. */
const STALE_MS = 1_000;

/** Of one operation, from `sent` to `answered`. */
export interface Flight {
  readonly sentAtMs: number;
}

/**
 * How many operations Redis is sent before it has answered. With too few a gateway waits for the way there and back. With too many
 * a Redis that has little of a processor answers the last of them too late, and each gateway decides by itself while nothing is
 * wrong. So it begins with few, takes one more for each answer that is quick, and halves them where one is slow.
 */
export class SendWindow {
  readonly #slowMs: number;
  readonly #now: () => number;
  #size = FEWEST;
  #flying = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #cutAtMs = Number.NEGATIVE_INFINITY;

  /** @param slowMs Which answers are slow. */
  constructor(slowMs: number, now: () => number = () => performance.now()) {
    this.#slowMs = slowMs;
    this.#now = now;
  }

  /** Whether one more may be sent. */
  get isOpen(): boolean {
    return this.#flying < this.#size;
  }

  sent(): Flight {
    const sentAtMs = this.#now();
    if (this.#flying === 0 && sentAtMs - this.#lastMs > STALE_MS) this.#size = FEWEST;
    this.#lastMs = sentAtMs;
    this.#flying += 1;
    return { sentAtMs };
  }

  /** Or has failed. */
  answered({ sentAtMs }: Flight): void {
    const nowMs = this.#now();
    // More than are asked for would have been found out of nothing.
    const isFull = this.#flying >= this.#size;
    this.#flying -= 1;
    if (nowMs - sentAtMs <= this.#slowMs) {
      if (isFull) this.#size = Math.min(MOST, this.#size + 1);
    } else if (sentAtMs >= this.#cutAtMs) {
      // What was sent before the last cut has waited behind what was too much then.
      this.#cutAtMs = nowMs;
      this.#size = Math.max(FEWEST, Math.floor(this.#size / 2));
    }
  }
}

interface Waiting {
  readonly untilTick: number;
  readonly giveUp: (reason: Error) => void;
}

const TICKS = 10;

/**
 * Waits for answers, but not for ever. The time is counted in turns of this process's event loop: while it was busy,
 * or had no processor, it could not have seen an answer either, and nobody else is to blame.
 */
export class Patience {
  readonly #timeoutMs: number;
  readonly #waiting = new Set<Waiting>();
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** @throws Error where the answer did not come in time. */
  async for<T>(answer: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const waiting = { untilTick: this.#tick + TICKS, giveUp: late.reject };
    this.#waiting.add(waiting);
    this.#timer ??= setInterval(() => this.#next(), this.#timeoutMs / TICKS);
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      this.#waiting.delete(waiting);
      if (this.#waiting.size === 0) this.#rest();
    }
  }

  #next(): void {
    this.#tick += 1;
    // All wait for the same time, so the first to have come is the first to go.
    for (const waiting of this.#waiting) {
      if (waiting.untilTick > this.#tick) return;
      this.#waiting.delete(waiting);
      waiting.giveUp(new Error(`no answer within ${this.#timeoutMs} ms`));
    }
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

import { AppError } from '../../core/error.ts';

/** Of its time: so the rest is for those who are served. */
const REST = 2;
const MOST_REST_MS = 100;
/** What takes longer waits for something elsewhere, a database or the rest of a body, and holds up nobody here. */
const MOST_MS = 100;
const MOST_WAITING = 32;

/**
 * What is asked about organizations, keys and usage is done one after the other, with a rest behind each: much of it is done in the thread that serves,
 * and whoever asks without pause should not be felt by those who only want replies. Of several organizations that wait each gets its turn.
 */
export class Turns {
  readonly #waiting = new Map<string, (() => void)[]>();
  #isTaken = false;

  /** @throws AppError `rate_limit_exceeded` where the organization has too many waiting; what `work` throws */
  async take<T>(organization: string, work: () => Promise<T>): Promise<T> {
    if (this.#isTaken) await this.#turn(organization);
    this.#isTaken = true;
    const startMs = performance.now();
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      const restMs = Math.min(REST * (performance.now() - startMs), MOST_REST_MS);
      setTimeout(() => this.#next(), restMs);
    };
    const timer = setTimeout(end, MOST_MS);
    try {
      return await work();
    } finally {
      end();
    }
  }

  async #turn(organization: string): Promise<void> {
    const waiting = this.#waiting.get(organization) ?? [];
    if (waiting.length >= MOST_WAITING)
      throw new AppError('rate_limit_exceeded', {
        message: 'Your organization asks too much at a time; try again later.',
        retryAfterMs: 1_000,
      });
    this.#waiting.set(organization, waiting);
    await new Promise<void>((go) => waiting.push(go));
  }

  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#isTaken = false;
      return;
    }
    const [organization, waiting] = first;
    const go = waiting.shift()!;
    // Behind all others.
    this.#waiting.delete(organization);
    if (waiting.length > 0) this.#waiting.set(organization, waiting);
    go();
  }
}

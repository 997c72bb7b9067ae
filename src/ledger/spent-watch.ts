import { DAY_MS } from './spending.ts';
import type { SpentTotals } from './spent.ts';

export interface SpentWatchOptions {
  /** Sums over the ledger: may take seconds, and be rejected. */
  readonly read: (atMs: number) => Promise<SpentTotals>;
  /** Unix milliseconds. */
  readonly nowMs: () => number;
  /** @param atMs The time that the ledger was asked about. */
  readonly onSpent: (totals: SpentTotals, atMs: number) => void;
  /** Told once when the ledger cannot be read, and once when it can again (undefined). */
  readonly onProblem: (problem: string | undefined) => void;
  /** It is read again after this long: others spend, too, and a journal may have come in late. */
  readonly everyMs: number;
  readonly retryMs?: number;
}

const RETRY_MS = 1_000;
const CHECK_MS = 20;

/** Keeps up with what the ledger has of the current day and month: one look after the other, however long they take. */
export class SpentWatch {
  readonly #options: SpentWatchOptions;
  #latest: SpentTotals | undefined;
  #latestAtMs = Number.NaN;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #failing = false;
  #closed = false;

  constructor(options: SpentWatchOptions) {
    this.#options = options;
  }

  /** Undefined: it could not be read so far, and nobody knows what is left of any budget. */
  get latest(): SpentTotals | undefined {
    return this.#latest;
  }

  /** The same, if it is of this day in UTC: yesterday's amounts say nothing of today's. */
  latestOf(nowMs: number): SpentTotals | undefined {
    return Math.floor(nowMs / DAY_MS) === Math.floor(this.#latestAtMs / DAY_MS) ? this.#latest : undefined;
  }

  /** Now. Resolves when it has been read, or could not be. */
  look(): Promise<void> {
    clearTimeout(this.#timer);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /**
   * Whoever has a budget is refused until it is known, so it is worth waiting for while the database answers.
   *
   * @param mostMs The longest wait.
   */
  async untilKnown(isAskable: () => boolean, mostMs: number): Promise<void> {
    const endMs = performance.now() + mostMs;
    while (this.#latest === undefined && isAskable() && performance.now() < endMs)
      await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const { read, nowMs, onSpent, everyMs, retryMs = RETRY_MS } = this.#options;
    const atMs = nowMs();
    try {
      const totals = await read(atMs);
      this.#latest = totals;
      this.#latestAtMs = atMs;
      onSpent(totals, atMs);
      this.#tell(undefined);
      this.#again(everyMs);
    } catch (error) {
      this.#tell(error instanceof Error ? error.message : String(error));
      this.#again(retryMs);
    }
  }

  #again(afterMs: number): void {
    if (!this.#closed) this.#timer = setTimeout(() => void this.look(), afterMs).unref();
  }

  #tell(problem: string | undefined): void {
    const failing = problem !== undefined;
    if (failing !== this.#failing && !this.#closed) this.#options.onProblem(problem);
    this.#failing = failing;
  }
}

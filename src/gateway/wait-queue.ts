/** Why nobody was served. */
export type Unserved = 'full' | 'timeout';

interface Waiter<T> {
  readonly sinceMs: number;
  claim(): T | undefined;
  settle(result: T | Unserved): void;
}

export interface WaitQueueOptions {
  /** How many may wait; the next one is told `full` at once. */
  readonly capacity: number;
  readonly maxWaitMs: number;
  /** Who would wait longer than that, going by how fast the line moves, is told `full` at once, too. */
  readonly foresees?: boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Whoever waits is looked after this often, in case what it waits for comes without a word. */
const TICK_MS = 50;
/** Whoever was served last tells how fast the line moves; of fewer than the least, nobody knows. */
const PACE_SAMPLES = 32;
const MIN_PACE_SAMPLES = 8;
/** How many that cannot be served yet may be passed by, for those behind them that can. */
const MAX_PASSED_BY = 16;

/** First come, first served, but nobody waits for ever, and who leaves is forgotten at once. */
export class WaitQueue<T> {
  #options: WaitQueueOptions;
  /** A set keeps the order of insertion and forgets in constant time. */
  readonly #waiters = new Set<Waiter<T>>();
  readonly rejected = { full: 0, timeout: 0 };
  /** When the line formed, and then when each was served; of late. */
  #servedAtMs: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WaitQueueOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#waiters.size;
  }

  /** How long the first one has waited. */
  get headAgeMs(): number {
    const [head] = this.#waiters;
    return head === undefined ? 0 : this.#options.now() - head.sinceMs;
  }

  /** How long whoever comes now will wait; undefined while the line has not moved enough to tell. */
  get expectedWaitMs(): number | undefined {
    const [sinceMs, ...served] = this.#servedAtMs;
    if (sinceMs === undefined || served.length < MIN_PACE_SAMPLES) return undefined;
    return ((this.#options.now() - sinceMs) / served.length) * (this.#waiters.size + 1);
  }

  /** For those that come from now on. */
  resize(bounds: Pick<WaitQueueOptions, 'capacity' | 'maxWaitMs'>): void {
    this.#options = { ...this.#options, ...bounds };
  }

  /**
   * Waits until `claim`, called when something became free, returns what was waited for.
   *
   * @throws The reason of the signal.
   */
  wait(claim: () => T | undefined, signal: AbortSignal): Promise<T | Unserved> {
    const { now } = this.#options;
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (this.#full) {
      this.rejected.full += 1;
      return Promise.resolve('full');
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        signal.removeEventListener('abort', onAbort);
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0) this.#stop();
      };
      const onAbort = () => {
        leave();
        reject(signal.reason as Error);
      };
      const waiter: Waiter<T> = {
        sinceMs: now(),
        claim,
        settle(result) {
          leave();
          resolve(result);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      if (this.#waiters.size === 0) this.#servedAtMs.push(now());
      this.#waiters.add(waiter);
      this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    });
  }

  /** Something may have become free. @returns Whether anybody was served. */
  pump(): boolean {
    let served = false;
    let passedBy = 0;
    for (const waiter of this.#waiters) {
      const claimed = waiter.claim();
      if (claimed !== undefined) {
        served = true;
        this.#noteServed();
        waiter.settle(claimed);
      } else if (++passedBy >= MAX_PASSED_BY) break;
    }
    return served;
  }

  get #full(): boolean {
    const { capacity, maxWaitMs, foresees } = this.#options;
    if (this.#waiters.size >= capacity) return true;
    return foresees === true && (this.expectedWaitMs ?? 0) > maxWaitMs;
  }

  #noteServed(): void {
    this.#servedAtMs.push(this.#options.now());
    if (this.#servedAtMs.length > PACE_SAMPLES + 1) this.#servedAtMs.shift();
  }

  #tick(): void {
    const dueMs = this.#options.now() - this.#options.maxWaitMs;
    for (const waiter of this.#waiters) {
      if (waiter.sinceMs > dueMs) break;
      this.rejected.timeout += 1;
      waiter.settle('timeout');
    }
    this.pump();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#servedAtMs = [];
  }
}

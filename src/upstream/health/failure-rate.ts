const BUCKETS = 30;
const BUCKET_MS = 1_000;
const MIN_CALLS = 20;
const MAX_SHARE = 0.5;

interface Second {
  second: number;
  calls: number;
  failures: number;
}

/** How many of the calls of the last 30 s failed. */
export class FailureRate {
  readonly #now: () => number;
  readonly #ring: Second[] = Array.from({ length: BUCKETS }, () => ({ second: -1, calls: 0, failures: 0 }));

  constructor(now: () => number) {
    this.#now = now;
  }

  count(failed: boolean): void {
    const second = this.#second();
    const bucket = this.#ring[second % BUCKETS]!;
    if (bucket.second !== second) Object.assign(bucket, { second, calls: 0, failures: 0 });
    bucket.calls += 1;
    if (failed) bucket.failures += 1;
  }

  /** At least 20 calls, and half of them failed. */
  get tooHigh(): boolean {
    const since = this.#second() - BUCKETS;
    let calls = 0;
    let failures = 0;
    for (const bucket of this.#ring) {
      if (bucket.second <= since) continue;
      calls += bucket.calls;
      failures += bucket.failures;
    }
    return calls >= MIN_CALLS && failures >= calls * MAX_SHARE;
  }

  clear(): void {
    for (const bucket of this.#ring) bucket.second = -1;
  }

  #second(): number {
    return Math.floor(this.#now() / BUCKET_MS);
  }
}

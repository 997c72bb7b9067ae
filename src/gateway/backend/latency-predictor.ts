/** What was learnt of requests of one size. */
interface Known {
  logMs: number;
  samples: number;
  atMs: number;
}

/** This many samples are averaged before a size has a prediction that others are measured by. */
const WARM_SAMPLES = 3;
const FALL = 0.25;
/** Time after which a lasting rise is believed to two thirds. */
const RISE_MS = 60_000;
const SIZES = 32;

/**
 * How long something takes at a backend that is not congested, by the size of what it has to do (powers of two of the
 * bytes of a prompt, or of the tokens of a reply). It falls fast and rises over a minute: congestion shows as a ratio
 * above 1 for long enough to act upon, while a deployment that has really become slower is believed in the end.
 */
export class LatencyPredictor {
  readonly #sizes: (Known | undefined)[] = new Array<Known | undefined>(SIZES).fill(undefined);

  /** @returns Undefined while nothing of about this size was seen. */
  predictMs(size: number): number | undefined {
    const known = this.#nearest(bucketOf(size));
    return known === undefined ? undefined : Math.exp(known.logMs);
  }

  observe(size: number, observedMs: number, nowMs: number): void {
    const logMs = Math.log(Math.max(observedMs, 0.01));
    const bucket = bucketOf(size);
    const known = this.#sizes[bucket];
    if (known === undefined) {
      this.#sizes[bucket] = { logMs, samples: 1, atMs: nowMs };
      return;
    }
    known.samples += 1;
    known.logMs += weightOf(known, logMs, nowMs) * (logMs - known.logMs);
    known.atMs = nowMs;
  }

  #nearest(bucket: number): Known | undefined {
    // Twice as large is near enough; ten times as large is not.
    for (const near of [bucket, bucket - 1, bucket + 1]) {
      const known = this.#sizes[near];
      if (known !== undefined && known.samples >= WARM_SAMPLES) return known;
    }
    return undefined;
  }
}

function weightOf(known: Known, logMs: number, nowMs: number): number {
  if (known.samples <= WARM_SAMPLES) return 1 / known.samples;
  if (logMs < known.logMs) return FALL;
  return 1 - Math.exp(-(nowMs - known.atMs) / RISE_MS);
}

function bucketOf(size: number): number {
  return 31 - Math.clz32(Math.max(1, Math.min(size, 2 ** 31 - 1)));
}

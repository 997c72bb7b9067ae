import { LatencyHistogram } from './latency-histogram.ts';
import { LatencyPredictor } from './latency-predictor.ts';

const MIN_SAMPLES = 20;

/** How long something takes by its size, and how far off such predictions are. */
export class Timing {
  readonly #predictor = new LatencyPredictor();
  /** Observed against predicted. */
  readonly #ratios: LatencyHistogram;

  constructor(now: () => number) {
    this.#ratios = new LatencyHistogram(now);
  }

  /** Undefined while nothing of about this size was seen. */
  predictMs(size: number): number | undefined {
    return this.#predictor.predictMs(size);
  }

  /** Undefined while too little is known. */
  p95Ms(size: number): number | undefined {
    const predictedMs = this.predictMs(size);
    if (predictedMs === undefined || this.#ratios.count < MIN_SAMPLES) return undefined;
    const ratio = this.#ratios.quantile(0.95);
    return ratio === undefined ? undefined : predictedMs * ratio;
  }

  observe(size: number, observedMs: number, nowMs: number): void {
    const predictedMs = this.predictMs(size);
    if (predictedMs !== undefined) this.#ratios.observe(observedMs / predictedMs);
    this.#predictor.observe(size, observedMs, nowMs);
  }
}

/** How long one model takes at one backend. */
export class ModelTimings {
  /** Time to first token of a stream, by the bytes of its request. */
  readonly firstToken: Timing;
  /** Until a whole reply is there, by the bytes of its request: what can be known beforehand. */
  readonly whole: Timing;
  /** The same by the tokens of the reply: what it is judged by afterwards. */
  readonly wholeByTokens = new LatencyPredictor();

  constructor(now: () => number) {
    this.firstToken = new Timing(now);
    this.whole = new Timing(now);
  }

  /** Until something of the reply is there. */
  untilBegun(stream: boolean): Timing {
    return stream ? this.firstToken : this.whole;
  }
}

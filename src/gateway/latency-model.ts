import { LatencyHistogram } from './latency-histogram.ts';
import { LatencyPredictor } from './latency-predictor.ts';

const MIN_SAMPLES = 20;

/** How long one model takes at one backend. */
export class LatencyModel {
  /** Time to first token of a stream, by the bytes of its request. */
  readonly firstToken = new LatencyPredictor();
  /** Duration of a whole reply, by its tokens. */
  readonly whole = new LatencyPredictor();
  /** Observed against predicted times to first token. */
  readonly ratios: LatencyHistogram;

  constructor(now: () => number) {
    this.ratios = new LatencyHistogram(now);
  }

  /** Undefined while too little is known. */
  p95FirstTokenMs(promptBytes: number): number | undefined {
    const predictedMs = this.firstToken.predictMs(promptBytes);
    if (predictedMs === undefined || this.ratios.count < MIN_SAMPLES) return undefined;
    return predictedMs * (this.ratios.quantile(0.95) ?? 1);
  }
}

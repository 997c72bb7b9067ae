import type { Canary } from '../../core/deployment.ts';
import { LatencyPredictor } from '../backend/latency-predictor.ts';
import { upperMedian } from '../backend/order-statistics.ts';

export type Side = 'canary' | 'others';

/** Why a canary should get no more requests. */
export interface Regression {
  readonly reason: 'errors' | 'latency';
  /** With figures, for operators. */
  readonly detail: string;
}

export interface CanaryFigures {
  /** Outcomes seen, ever. */
  readonly requests: number;
  /** Of the latest; undefined: none seen. */
  readonly errorRate: number | undefined;
  readonly othersErrorRate: number | undefined;
  /** Median time until a reply begins against what the others take for prompts of that size. */
  readonly ttftRatio: number | undefined;
}

/** One-sided: by chance a figure is as bad as this once in 740 looks. */
const Z = 3;
/** The canary's outcomes that count, in units of the least that must be there. */
const WINDOW = 4;
const OTHERS_WINDOW = 64;
const LEAST_OTHERS = 20;

/**
 * Compares a canary with the other deployments of its model, which get requests of the same kind at the same time.
 *
 *   errors    the lower bound of the difference of the two rates exceeds `maxErrorRate` (Newcombe's interval from two of Wilson's)
 *   latency   the lower bound of the canary's median, against the others' median at that time, exceeds `maxTtftRatio`
 *
 * Older outcomes of both sides fade with every outcome of the canary, so that trouble which befell all of them is
 * not held against it.
 */
export class CanaryWatch {
  readonly #settings: Canary;
  readonly #counts = { canary: { requests: 0, faults: 0 }, others: { requests: 0, faults: 0 } };
  #requests = 0;
  /** What the others take, by kind of reply and size of prompt. */
  readonly #expected = { stream: new LatencyPredictor(), whole: new LatencyPredictor() };
  /** Logarithms of observed against expected. */
  readonly #othersLateness: number[] = [];
  /** The same of the canary, relative to the others' median at that time. */
  readonly #excess: number[] = [];

  constructor(settings: Canary) {
    this.#settings = settings;
  }

  /** A request has ended in a way that says something of the deployment. */
  outcome(side: Side, fault: boolean): void {
    const { minRequests } = this.#settings;
    if (side === 'canary') {
      this.#requests += 1;
      const kept = 1 - 1 / (WINDOW * minRequests);
      for (const counts of Object.values(this.#counts)) {
        counts.requests *= kept;
        counts.faults *= kept;
      }
    }
    this.#counts[side].requests += 1;
    if (fault) this.#counts[side].faults += 1;
  }

  /** A reply has begun. */
  began(side: Side, stream: boolean, promptBytes: number, observedMs: number, nowMs: number): void {
    const expected = this.#expected[stream ? 'stream' : 'whole'];
    const expectedMs = expected.predictMs(promptBytes);
    if (expectedMs !== undefined) {
      const lateness = Math.log(Math.max(observedMs, 0.01) / expectedMs);
      if (side === 'others') keep(this.#othersLateness, lateness, OTHERS_WINDOW);
      else if (this.#othersLateness.length >= LEAST_OTHERS) {
        const excess = lateness - upperMedian(this.#othersLateness)!;
        keep(this.#excess, excess, WINDOW * this.#settings.minRequests);
      }
    }
    if (side === 'others') expected.observe(promptBytes, observedMs, nowMs);
  }

  verdict(): Regression | undefined {
    const { minRequests, maxErrorRate, maxTtftRatio } = this.#settings;
    if (this.#requests < minRequests) return undefined;
    const { canary, others } = this.#counts;
    if (leastDifference(canary, others) > maxErrorRate) {
      const percent = (rate: number | undefined) => `${((rate ?? 0) * 100).toFixed(1)} %`;
      const { errorRate, othersErrorRate } = this.figures();
      return {
        reason: 'errors',
        detail: `${percent(errorRate)} of its requests fail, ${percent(othersErrorRate)} of the others'`,
      };
    }
    if (this.#excess.length >= minRequests && leastMedian(this.#excess) > Math.log(maxTtftRatio))
      return {
        reason: 'latency',
        detail: `its replies take ${this.figures().ttftRatio?.toFixed(2)} times as long to begin as the others'`,
      };
    return undefined;
  }

  figures(): CanaryFigures {
    const excess = upperMedian(this.#excess);
    return {
      requests: this.#requests,
      errorRate: rateOf(this.#counts.canary),
      othersErrorRate: rateOf(this.#counts.others),
      ttftRatio: excess === undefined ? undefined : Math.exp(excess),
    };
  }
}

interface Counts {
  readonly requests: number;
  readonly faults: number;
}

function rateOf({ requests, faults }: Counts): number | undefined {
  return requests === 0 ? undefined : faults / requests;
}

/** Lower bound of how much more often `a` fails than `b` (Newcombe 1998, method 10). */
function leastDifference(a: Counts, b: Counts): number {
  if (a.requests === 0 || b.requests === 0) return Number.NEGATIVE_INFINITY;
  const [rateA, rateB] = [a.faults / a.requests, b.faults / b.requests];
  return rateA - rateB - Math.hypot(rateA - wilson(a, -Z), wilson(b, Z) - rateB);
}

/** Bound of a rate, lower for z < 0 and upper for z > 0 (Wilson 1927). */
function wilson({ requests, faults }: Counts, z: number): number {
  const rate = faults / requests;
  const spread = z * Math.sqrt((rate * (1 - rate)) / requests + (z * z) / (4 * requests * requests));
  return (rate + (z * z) / (2 * requests) + spread) / (1 + (z * z) / requests);
}

/** Lower bound of the median, whatever the distribution: the order statistic that few samples have theirs below. */
function leastMedian(samples: readonly number[]): number {
  const rank = Math.floor(samples.length / 2 - (Z / 2) * Math.sqrt(samples.length));
  if (rank < 1) return Number.NEGATIVE_INFINITY;
  return samples.toSorted((a, b) => a - b)[rank - 1]!;
}

function keep(samples: number[], sample: number, most: number): void {
  if (samples.push(sample) > most) samples.shift();
}

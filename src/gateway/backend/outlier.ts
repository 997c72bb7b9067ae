import { median } from './order-statistics.ts';

const RECENT = 16;
const MIN_SAMPLES = 8;
/** Samples of requests sent since the suspicion arose. */
const MIN_LATER_SAMPLES = 4;
const RECENT_MS = 30_000;
const MADS = 3;
const CONSPICUOUS = Math.log(1.5);
const SAMPLES_PER_LOOK = 4;
/** Makes the MAD of a normal distribution its standard deviation. */
const MAD_SCALE = 1.4826;
/** Peers that agree to the per mille must not make a difference of a per cent an outlier: about twice as slow is. */
const MIN_MAD = 0.15;

const FIRST_EJECTION_MS = 10_000;
const MAX_EJECTION_MS = 60_000;

interface Sample {
  readonly sentAtMs: number;
  readonly atMs: number;
  readonly logRatio: number;
}

/** How much slower than predicted a backend has been of late, and for how long it is left alone because of that. */
export class Slowness {
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #samples: Sample[] = [];
  /** Since when it has looked like an outlier. */
  suspectSinceMs: number | undefined;
  #ejectedUntilMs = Number.NEGATIVE_INFINITY;
  #streak = 0;
  #unseen = 0;
  #ejections = 0;

  constructor(now: () => number, random: () => number) {
    this.#now = now;
    this.#random = random;
  }

  get ejectedMs(): number {
    // Nearly always it never was: no need to ask for the time.
    if (this.#ejections === 0) return 0;
    return Math.max(0, this.#ejectedUntilMs - this.#now());
  }

  /** Ever. */
  get ejections(): number {
    return this.#ejections;
  }

  /** @param sentAtMs When the request was. */
  observe(observedMs: number, predictedMs: number, sentAtMs: number): void {
    this.#samples.push({ sentAtMs, atMs: this.#now(), logRatio: Math.log(observedMs / predictedMs) });
    if (this.#samples.length > RECENT) this.#samples.shift();
    this.#unseen += 1;
  }

  /** A closer look costs sorting, so it is taken at a few samples together, and only if the last of them was late. */
  lookDue(): boolean {
    if (this.#unseen < SAMPLES_PER_LOOK) return false;
    this.#unseen = 0;
    return this.suspectSinceMs !== undefined || (this.#samples.at(-1)?.logRatio ?? 0) > CONSPICUOUS;
  }

  /** Median of log(observed / predicted); undefined without enough recent samples. */
  get score(): number | undefined {
    const sinceMs = this.#now() - RECENT_MS;
    return this.#scoreOf(({ atMs }) => atMs > sinceMs, MIN_SAMPLES);
  }

  laterScore(sinceMs: number): number | undefined {
    return this.#scoreOf(({ sentAtMs }) => sentAtMs > sinceMs, MIN_LATER_SAMPLES);
  }

  suspect(): number {
    this.suspectSinceMs ??= this.#now();
    return this.suspectSinceMs;
  }

  #scoreOf(counts: (sample: Sample) => boolean, atLeast: number): number | undefined {
    const counted = this.#samples.filter(counts).map(({ logRatio }) => logRatio);
    return counted.length < atLeast ? undefined : median(counted);
  }

  /** Ten seconds, and twice as long if it has not mended since the last time; up to a minute. */
  eject(): void {
    const nowMs = this.#now();
    this.#streak = nowMs - this.#ejectedUntilMs < MAX_EJECTION_MS ? this.#streak + 1 : 0;
    const forMs = FIRST_EJECTION_MS * 2 ** this.#streak * (0.8 + 0.4 * this.#random());
    this.#ejectedUntilMs = nowMs + Math.min(forMs, MAX_EJECTION_MS);
    this.#ejections += 1;
    this.#samples.length = 0;
    this.suspectSinceMs = undefined;
  }
}

/** @param peers Scores of the others in the fleet, at least one. */
export function isOutlier(score: number, peers: readonly number[]): boolean {
  if (peers.length === 0) return false;
  const middle = median(peers);
  const mad = MAD_SCALE * median(peers.map((peer) => Math.abs(peer - middle)));
  return score - middle > MADS * Math.max(mad, MIN_MAD * MAD_SCALE);
}

export interface FleetMember {
  /** Takes requests: it works and is not ejected. */
  readonly ready: boolean;
  readonly slowness: Slowness;
}

/**
 * Ejects the member if it has become far slower than its peers: 3 MAD on log(observed / predicted) of the time to first
 * token. Never so that less than half of the fleet takes requests. The suspicion has to hold among requests that were all sent
 * after it: the first to notice that everything has become slow is not punished for it, nor one for a moment in which it, or
 * this process, stood still.
 */
export function ejectIfOutlier(member: FleetMember, fleet: readonly FleetMember[]): boolean {
  const { score } = member.slowness;
  if (score === undefined || !member.ready) return false;
  const peers = fleet.filter((peer) => peer !== member && peer.ready);
  if (peers.length < fleet.length / 2) return false;
  const scores = peers.flatMap((peer) => peer.slowness.score ?? []);
  if (!isOutlier(score, scores)) {
    member.slowness.suspectSinceMs = undefined;
    return false;
  }
  const sinceMs = member.slowness.suspect();
  const later = member.slowness.laterScore(sinceMs);
  const laterScores = peers.flatMap((peer) => peer.slowness.laterScore(sinceMs) ?? []);
  if (later === undefined || !isOutlier(later, laterScores)) return false;
  member.slowness.eject();
  return true;
}

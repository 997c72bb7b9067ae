import type { RowKernels } from './simd/row-kernels.ts';
import { anyAbove, GROUP, type TopTokens } from './top-tokens.ts';
import { keepTypical } from './typical.ts';

/** A row of logits of which those from `lowest` to `max` may be drawn. */
export interface Distribution {
  /** Their row holds the logits. */
  readonly kernels: RowKernels;
  readonly max: number;
  readonly lowest: number;
  readonly temperature: number;
}

/**
 * The nucleus is found by probability mass in bins of weights whose float32 bits agree but for the lowest 17: 64 bins to
 * a factor of two, from 1 downwards. Everything below 2^-32 is in the last one.
 */
const BIN_SHIFT = 17;
const BINS = 32 * 64;
const ONE_BITS = 0x3f800000;

/**
 * A nucleus has fewer tokens than the first, nearly always, or the second: a token that weighs less than the mass left out
 * divided by that is passed over.
 */
const NUCLEUS_TOKENS = [1_024, 8_192];

/** Reused from row to row: sampling a batch allocates nothing of the vocabulary's size. */
let candidates = new Int32Array(0);
const binMass = new Float64Array(BINS);

/**
 * Draws one of a few tokens, best first, of which those within `reach` of the first may be drawn, cut where they hold
 * `topP` of the mass, and of those the ones that `typicalP` leaves. -1 if there are none. `random` is uniform in [0, 1).
 */
export function drawFromTop(
  top: TopTokens,
  cut: {
    readonly temperature: number;
    readonly reach: number;
    readonly topP: number;
    readonly typicalP: number;
  },
  random: number,
): number {
  const { ids, logits } = top;
  const tokenWeights = new Float64Array(ids.length);
  let total = 0;
  let count = 0;
  for (; count < ids.length && logits[0]! - logits[count]! <= cut.reach; count++) {
    tokenWeights[count] = Math.exp((logits[count]! - logits[0]!) / cut.temperature);
    total += tokenWeights[count]!;
  }
  if (cut.topP < 1) {
    const target = cut.topP * total;
    total = 0;
    for (count = 0; count < ids.length && (count === 0 || total < target); count++)
      total += tokenWeights[count]!;
  }
  if (count === 0) return -1;
  const places = Int32Array.from({ length: count }, (_, i) => i);
  const kept =
    cut.typicalP < 1 ? keepTypical(places, count, { weights: tokenWeights, logits }, cut.typicalP) : count;
  return ids[pick(places, kept, tokenWeights, random)]!;
}

/** Draws one of the first `count` of `ids` in proportion to its weight, which is read by id. */
function pick(ids: Int32Array, count: number, idWeights: ArrayLike<number>, random: number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += idWeights[ids[i]!]!;
  let rest = random * total;
  for (let i = 0; i < count; i++) {
    rest -= idWeights[ids[i]!]!;
    if (rest < 0) return ids[i]!;
  }
  return ids[count - 1]!;
}

/** Draws from the whole distribution. */
export function drawAny(distribution: Distribution, random: number): number {
  let rest = random * fillWeights(distribution);
  const { weights } = distribution.kernels;
  let last = 0;
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id]!;
    if (weight === 0) continue;
    last = id;
    rest -= weight;
    if (rest < 0) break;
  }
  return last;
}

/** Draws from the smallest set of most probable tokens that holds `topP` of the mass. */
export function drawFromNucleus(distribution: Distribution, topP: number, random: number): number {
  const count = collectNucleus(distribution.kernels, fillWeights(distribution), topP);
  return pick(candidates, count, distribution.kernels.weights, random);
}

/** Draws from those tokens of the nucleus, or of the whole distribution where `topP` is 1, that `typicalP` leaves. */
export function drawTypical(
  distribution: Distribution,
  { topP, typicalP }: { readonly topP: number; readonly typicalP: number },
  random: number,
): number {
  const { kernels } = distribution;
  const { weights, row: logits } = kernels;
  const total = fillWeights(distribution);
  const count = topP < 1 ? collectNucleus(kernels, total, topP) : collectAll(weights);
  const kept = keepTypical(candidates, count, { weights, logits }, typicalP);
  return pick(candidates, kept, weights, random);
}

/**
 * Puts the smallest set of most probable tokens that holds `topP` of `total` into `candidates`. Returns how many.
 *
 * Two cuts make the set small before anything is sorted. Those heavier than some floor hold enough mass, so that the others do not
 * belong to it: a low floor always does, a higher one is tried first. And of those left, only the tokens in the one bin where the
 * sum crosses are in doubt.
 */
function collectNucleus(kernels: RowKernels, total: number, topP: number): number {
  const { weights, weightBits } = kernels;
  const target = topP * total;
  const inDoubt = collectEnough(kernels, total - target, target);

  let mass = 0;
  let edge = 0;
  while (edge < BINS - 1 && mass + binMass[edge]! < target) mass += binMass[edge++]!;

  const edgeTokens: number[] = [];
  let kept = 0;
  for (let i = 0; i < inDoubt; i++) {
    const id = candidates[i]!;
    const bin = binOf(weightBits[id]!);
    if (bin < edge) candidates[kept++] = id;
    else if (bin === edge) edgeTokens.push(id);
  }
  edgeTokens.sort((a, b) => weights[b]! - weights[a]! || a - b);
  for (const id of edgeTokens) {
    if (mass >= target) break;
    mass += weights[id]!;
    candidates[kept++] = id;
  }
  return kept;
}

/** Collects the heaviest tokens, which hold at least `target`, where all others hold at most `leftOut`. */
function collectEnough(kernels: RowKernels, leftOut: number, target: number): number {
  for (const tokens of NUCLEUS_TOKENS) {
    const count = collectAbove(kernels, leftOut / tokens);
    let mass = 0;
    for (let bin = 0; bin < BINS; bin++) mass += binMass[bin]!;
    // A little more, for what rounding does to sums.
    if (mass > target * (1 + 1e-9)) return count;
  }
  return collectAbove(kernels, leftOut / kernels.weights.length);
}

/** Sets the weights to e^((logit − max) / temperature), and to 0 below `lowest`. Returns their sum. */
function fillWeights({ kernels, max, lowest, temperature }: Distribution): number {
  const { row, weights } = kernels;
  if (candidates.length !== row.length) candidates = new Int32Array(row.length);
  let total = 0;
  if (lowest === Number.NEGATIVE_INFINITY) {
    total = kernels.exponentials(max, 1 / temperature);
  } else {
    weights.fill(0);
    for (let id = 0; id < row.length; id++) {
      if (!(row[id]! >= lowest)) continue;
      const weight = Math.exp((row[id]! - max) / temperature);
      weights[id] = weight;
      total += weight;
    }
  }
  if (Number.isNaN(total)) throw new Error('no token can be drawn: a logit is not a number');
  return total;
}

/** Puts all tokens that may be drawn into `candidates`, by id. Returns how many. */
function collectAll(weights: Float32Array): number {
  const tokens = candidates;
  let count = 0;
  for (let id = 0; id < weights.length; id++) if (weights[id]! > 0) tokens[count++] = id;
  return count;
}

/** Puts the tokens heavier than `floor` into `candidates`, by id, and their mass into bins. Returns how many. */
function collectAbove({ weights, weightBits }: RowKernels, floor: number): number {
  const tokens = candidates;
  binMass.fill(0);
  let count = 0;
  for (let start = 0; start < weights.length; start += GROUP) {
    if (!anyAbove(weights, start, floor)) continue;
    const end = Math.min(start + GROUP, weights.length);
    for (let id = start; id < end; id++) {
      const weight = weights[id]!;
      if (!(weight > floor)) continue;
      tokens[count++] = id;
      binMass[binOf(weightBits[id]!)]! += weight;
    }
  }
  return count;
}

function binOf(bits: number): number {
  const bin = (ONE_BITS - bits) >> BIN_SHIFT;
  return bin < BINS ? bin : BINS - 1;
}

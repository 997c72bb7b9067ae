import { exponentials } from './exponentials.ts';
import { anyAbove, GROUP, type TopTokens } from './top-tokens.ts';
import { keepTypical } from './typical.ts';

/** A row of logits of which those from `lowest` to `max` may be drawn. */
export interface Distribution {
  readonly row: Float32Array;
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

/** Reused from row to row: sampling a batch allocates nothing of the vocabulary's size. */
let weights = new Float32Array(0);
let weightBits = new Int32Array(0);
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
  const rowWeights = weights;
  let last = 0;
  for (let id = 0; id < rowWeights.length; id++) {
    const weight = rowWeights[id]!;
    if (weight === 0) continue;
    last = id;
    rest -= weight;
    if (rest < 0) break;
  }
  return last;
}

/** Draws from the smallest set of most probable tokens that holds `topP` of the mass. */
export function drawFromNucleus(distribution: Distribution, topP: number, random: number): number {
  const count = collectNucleus(fillWeights(distribution), topP);
  return pick(candidates, count, weights, random);
}

/** Draws from those tokens of the nucleus, or of the whole distribution where `topP` is 1, that `typicalP` leaves. */
export function drawTypical(
  distribution: Distribution,
  { topP, typicalP }: { readonly topP: number; readonly typicalP: number },
  random: number,
): number {
  const total = fillWeights(distribution);
  const count = topP < 1 ? collectNucleus(total, topP) : collectAll();
  const kept = keepTypical(candidates, count, { weights, logits: distribution.row }, typicalP);
  return pick(candidates, kept, weights, random);
}

/**
 * Puts the smallest set of most probable tokens that holds `topP` of `total` into `candidates`. Returns how many.
 *
 * Two cuts make the set small before anything is sorted: a token lighter than the mass left out divided by the size of
 * the vocabulary cannot belong to it, and of the others only those in the one bin where the sum crosses are in doubt.
 */
function collectNucleus(total: number, topP: number): number {
  const target = topP * total;
  const inDoubt = collectAbove((total - target) / weights.length);

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

/** Sets `weights` to e^((logit − max) / temperature), and to 0 below `lowest`. Returns their sum. */
function fillWeights({ row, max, lowest, temperature }: Distribution): number {
  if (weights.length !== row.length) {
    weights = new Float32Array(row.length);
    weightBits = new Int32Array(weights.buffer);
    candidates = new Int32Array(row.length);
  }
  let total = 0;
  if (lowest === Number.NEGATIVE_INFINITY) {
    total = exponentials(row, max, 1 / temperature, weights);
  } else {
    const rowWeights = weights.fill(0);
    for (let id = 0; id < row.length; id++) {
      if (!(row[id]! >= lowest)) continue;
      const weight = Math.exp((row[id]! - max) / temperature);
      rowWeights[id] = weight;
      total += weight;
    }
  }
  if (Number.isNaN(total)) throw new Error('no token can be drawn: a logit is not a number');
  return total;
}

/** Puts all tokens that may be drawn into `candidates`, by id. Returns how many. */
function collectAll(): number {
  const rowWeights = weights;
  const tokens = candidates;
  let count = 0;
  for (let id = 0; id < rowWeights.length; id++) if (rowWeights[id]! > 0) tokens[count++] = id;
  return count;
}

/** Puts the tokens heavier than `floor` into `candidates`, by id, and their mass into bins. Returns how many. */
function collectAbove(floor: number): number {
  const rowWeights = weights;
  const bits = weightBits;
  const tokens = candidates;
  binMass.fill(0);
  let count = 0;
  for (let start = 0; start < rowWeights.length; start += GROUP) {
    if (!anyAbove(rowWeights, start, floor)) continue;
    const end = Math.min(start + GROUP, rowWeights.length);
    for (let id = start; id < end; id++) {
      const weight = rowWeights[id]!;
      if (!(weight > floor)) continue;
      tokens[count++] = id;
      binMass[binOf(bits[id]!)]! += weight;
    }
  }
  return count;
}

function binOf(bits: number): number {
  const bin = (ONE_BITS - bits) >> BIN_SHIFT;
  return bin < BINS ? bin : BINS - 1;
}

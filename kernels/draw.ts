import { seededRandom } from './random.ts';
import { BINS } from './simd/cut-code.ts';
import type { RowKernels } from './simd/row-kernels.ts';

/** What may be drawn of a row, and how likely. */
export interface Cuts {
  /** 0, which cannot be drawn with, is greedy. */
  readonly temperature: number;
  /** (0, 1]; 1 is off. */
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  /** [0, 1]; 0 is off. */
  readonly minP: number;
  /** (0, 1]; 1 is off. Locally typical sampling. */
  readonly typicalP: number;
}

/** Weights are 0 from this many temperatures below the maximum on: e^-88 is below 2^-126. */
const LONGEST_REACH = 88;

/**
 * How much farther out than calculated numbers are kept until they are cut exactly, so that nothing that counts is
 * lost to rounding.
 */
const MARGIN = 1.001;

/**
 * Draws an id from the loaded row, with a probability in proportion to its weight e^(logit / temperature), among
 * those that all cuts leave: min-p, top-k, top-p, typical-p, each applied to what the one before has left. `random`
 * is uniform in [0, 1). -1 if there is none to draw.
 *
 * All but min-p keep what is nearest to a centre: as many as were asked for, or as many as hold the mass asked for.
 * Top-k and top-p are nearest to
 * the maximum. Locally typical sampling (Meister et al., 2022) keeps those whose surprise is nearest to the expected one, which is
 * to say, as surprise is linear in the logits: those nearest to the mean logit.
 */
export function draw(kernels: RowKernels, cuts: Cuts, random: number): number {
  const { temperature, topK, topP, minP, typicalP } = cuts;
  const max = kernels.max();
  if (max === Number.NEGATIVE_INFINITY) return -1;
  const longest = LONGEST_REACH * temperature;
  const least = leastToWeigh(kernels, cuts, max, longest);
  // Most of a vocabulary needs no weights then.
  if (least > Number.NEGATIVE_INFINITY) kernels.keepBetween(least, max);
  // Done before anything is weighed, since what is nearer to the maximum weighs more.
  const leastOfTopK = topK > 0 ? leastOfLargest(kernels, topK, max, longest) : undefined;
  const takesOut = leastOfTopK !== undefined && topK < kernels.size / 2;
  if (takesOut) kernels.keepBetween(leastOfTopK, max);
  let mass = kernels.exponentials(max, 1 / temperature);
  if (Number.isNaN(mass)) throw new Error('no token can be drawn: a logit is not a number');
  if (leastOfTopK !== undefined && !takesOut) mass = kernels.dropUnder(leastOfTopK);
  if (minP > 0) mass = kernels.dropBelow(minP);
  if (typicalP === 1) return drawNearest(kernels, { centre: max, target: topP * mass, mass }, random);
  if (topP < 1) {
    // All those whose weights are below the n-th part of what may be left out can be left out.
    const enough = temperature * Math.log(kernels.size / ((1 - topP) * mass));
    const reach = MARGIN * enough + 1e-4 * temperature;
    // Taking out what is little takes longer than leaving it.
    if (kernels.countFrom(max - reach) < kernels.size / 2) kernels.keepBetween(max - reach, max);
    mass = kernels.dropUnder(cutOf(kernels, 'mass', { max, target: topP * mass, reach }) ?? max - reach);
  }
  const mean = Math.fround(max + kernels.offset(max) / mass);
  return drawNearest(kernels, { centre: mean, target: typicalP * mass, mass }, random);
}

interface Nearest {
  readonly centre: number;
  /** The mass of all that may be drawn, or a little less. */
  readonly target: number;
  /** Of all. */
  readonly mass: number;
}

/**
 * Draws from the numbers nearest to the centre, of equally near ones those with lower ids, as few as come to `target`, without looking
 * for where they end: one is drawn from all, and another if it is not among them. Then neither is any that is farther, so that
 * each time fewer are left to draw from.
 */
function drawNearest(kernels: RowKernels, { centre, target, mass }: Nearest, random: number): number {
  let place = kernels.locate(random * mass);
  if (target >= mass) return kernels.idAt(place);
  // Whatever follows from one random number is as random as it.
  const further = seededRandom(Math.floor(random * 2 ** 53));
  for (let left = mass; ; place = kernels.locate(further() * left)) {
    const logit = kernels.row[place]!;
    const mirrored = 2 * centre - logit;
    const [low, high] = [Math.min(logit, mirrored), Math.max(logit, mirrored)];
    const { inner, whole } = kernels.massBetween(low, high);
    const weight = kernels.weights[place]!;
    // What is as far, or is taken for it in float32: rarely anything, and rarely where it matters.
    const isClear = inner >= target || whole - weight < target;
    const nearer = isClear ? inner : inner + massOfEqual(kernels, centre, place, [low, high]);
    if (nearer < target) return kernels.idAt(place);
    kernels.drop(place);
    kernels.keepBetween(low, high);
    left = whole - weight;
  }
}

/** The mass of those at the two ends of the interval that are nearer to the centre than what is at `place`, or as near with a lower id. */
function massOfEqual(kernels: RowKernels, centre: number, place: number, ends: readonly number[]): number {
  const { row, weights } = kernels;
  const [low, high] = ends.map(Math.fround);
  const distance = Math.abs(row[place]! - centre);
  let mass = 0;
  for (const [i, logit] of row.entries()) {
    if (logit !== low && logit !== high) continue;
    const own = Math.abs(logit - centre);
    if (own < distance || (own === distance && i < place)) mass += weights[i]!;
  }
  return mass;
}

/** Logits below this are cut off by min-p or top-k, whatever the weights are. */
function leastToWeigh(
  kernels: RowKernels,
  { temperature, minP, topK }: Cuts,
  max: number,
  longest: number,
): number {
  const byWeight = minP > 0 ? max + MARGIN * temperature * (Math.log(minP) - 1e-3) : Number.NEGATIVE_INFINITY;
  return topK === 0 ? byWeight : Math.max(byWeight, kernels.boundOfLargest(topK, max, longest));
}

/** Of looking for a number by counting. Rows that have no equal numbers at the edge need some eight. */
const MOST_COUNTS = 16;

/**
 * The least of the `count` largest numbers, of equal ones as `cutOf` has it; undefined where there are no more than `count` that are within
 * `reach` of the maximum. To count those of at least so much takes a tenth of the time that a histogram does.
 */
function leastOfLargest(kernels: RowKernels, count: number, max: number, reach: number): number | undefined {
  let [low, high] = [Math.fround(max - reach), max];
  let [lowCount, highCount] = [kernels.countFrom(low), 0];
  if (count >= Math.min(kernels.size, lowCount)) return undefined;
  for (let i = 0; i < MOST_COUNTS; i++) {
    // By proportion, but now and then in the middle: far from the edge numbers are not spread evenly.
    const part = i % 3 === 0 ? 0.5 : (lowCount - count) / (lowCount - highCount);
    const between = Math.fround(low + part * (high - low));
    if (between <= low || between >= high) break;
    const counted = kernels.countFrom(between);
    if (counted === count) return between;
    if (counted > count) [low, lowCount] = [between, counted];
    else [high, highCount] = [between, counted];
  }
  return cutOf(kernels, 'count', { max, target: count, reach: MARGIN * (max - low) });
}

interface Cut {
  readonly max: number;
  /** How many are to be left, or the mass they have together. */
  readonly target: number;
  /** Nothing that counts is farther from the maximum. */
  readonly reach: number;
}

/**
 * The least of the largest numbers that come to `target`, as few as do; of those equal to it the ones with higher ids are dropped that
 * are too many. Undefined where all are needed, or what is not needed does not count.
 *
 * Only what is in one bin of distance has to be told apart.
 */
function cutOf(
  kernels: RowKernels,
  measure: 'mass' | 'count',
  { max, target, reach }: Cut,
): number | undefined {
  const bins = { centre: max, binsPerUnit: (BINS - 1) / reach };
  const { bin, before } = kernels.edgeBin(measure, bins, target);
  if (bin === BINS - 1) return undefined;
  const { row, weights } = kernels;
  const isNearer = (a: number, b: number) => row[a]! > row[b]! || (row[a] === row[b] && a < b);
  const sizeOf = (places: readonly number[]) =>
    measure === 'count' ? places.length : places.reduce((sum, place) => sum + weights[place]!, 0);
  let missing = target - before;
  let undecided = kernels.placesIn(bins, bin);
  let last = undecided[0]!;
  const cutOff: number[] = [];
  // As in quickselect: of those nearer than one of them, all are kept or none farther is.
  for (let pivot = middleOf(undecided); pivot !== undefined; pivot = middleOf(undecided)) {
    const chosen = pivot;
    const nearer = undecided.filter((place) => isNearer(place, chosen));
    const farther = undecided.filter((place) => isNearer(chosen, place));
    const size = sizeOf(nearer);
    if (missing <= size) {
      cutOff.push(chosen, ...farther);
      undecided = nearer;
    } else {
      missing -= size + sizeOf([chosen]);
      last = chosen;
      undecided = farther;
    }
  }
  const least = row[last]!;
  for (const place of cutOff) if (row[place] === least) kernels.drop(place);
  return least;
}

function middleOf(places: readonly number[]): number | undefined {
  return places[places.length >> 1];
}

import { seededRandom } from './random.ts';
import { BINS } from './simd/cut-code.ts';
import type { RowKernels, Weighted } from './simd/row-kernels.ts';

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

/** How much further than reckoned numbers are kept that are cut exactly later, so that nothing that counts is lost to rounding. */
const MARGIN = 1.001;

/**
 * Draws an id of the row that is loaded, each as likely as its weight e^(logit / temperature), of those that all cuts leave:
 * min-p, top-k, top-p, typical-p, each on what the one before has left. `random` is uniform in [0, 1). -1 if there is none to draw.
 *
 * All but min-p keep what is nearest to a centre: as many as asked for, or as hold the mass asked for. Top-k and top-p are nearest to
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
  let mass = kernels.exponentials(max, 1 / temperature);
  if (Number.isNaN(mass)) throw new Error('no token can be drawn: a logit is not a number');
  if (minP > 0) mass = kernels.dropBelow(minP);
  if (topK > 0 && topK < kernels.size)
    mass = keepNearest(kernels, 'count', { centre: max, target: topK, reach: longest });
  if (typicalP === 1) return drawNearest(kernels, { centre: max, target: topP * mass, mass }, random);
  if (topP < 1) {
    // Those whose weights are below the n-th part of what may be left out can all be.
    const enough = temperature * Math.log(kernels.size / ((1 - topP) * mass));
    const reach = MARGIN * enough + 1e-4 * temperature;
    kernels.keepBetween(max - reach, max);
    mass = keepNearest(kernels, 'mass', { centre: max, target: topP * mass, reach });
  }
  const mean = Math.fround(max + kernels.offset(max) / mass);
  return drawNearest(kernels, { centre: mean, target: typicalP * mass, mass }, random);
}

interface Nearest {
  readonly centre: number;
  /** The mass that those have together that may be drawn, or a little less. */
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
  // All that come of one number are as good as it.
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

/** Logits below are cut off by min-p or top-k whatever the weights are. */
function leastToWeigh(
  kernels: RowKernels,
  { temperature, minP, topK }: Cuts,
  max: number,
  longest: number,
): number {
  const byWeight = minP > 0 ? max + MARGIN * temperature * (Math.log(minP) - 1e-3) : Number.NEGATIVE_INFINITY;
  return topK === 0 ? byWeight : Math.max(byWeight, kernels.boundOfLargest(topK, max, longest));
}

/**
 * Keeps the weights whose logits are nearest to the centre, of equally near ones those with lower ids, as few as come to `target`;
 * nothing that counts lies beyond `reach`. Returns their mass.
 *
 * All but one bin of distance are kept or cut as they are; only what is in that one has to be told apart.
 */
function keepNearest(
  kernels: RowKernels,
  measure: 'mass' | 'count',
  { centre, target, reach }: { readonly centre: number; readonly target: number; readonly reach: number },
): number {
  const bins = { centre, binsPerUnit: (BINS - 1) / reach };
  const { bin, before } = kernels.edgeBin(measure, bins, target);
  const { mass, inDoubt } = kernels.keepNear(bins, bin);
  let missing = target - before;
  let kept = mass;
  let undecided = inDoubt;
  // As in quickselect: of those nearer than one of them, all are kept or none farther is.
  for (let pivot = middleOf(undecided); pivot !== undefined; pivot = middleOf(undecided)) {
    const nearer = undecided.filter((each) => isNearer(each, pivot));
    const farther = undecided.filter((each) => isNearer(pivot, each));
    const size = measure === 'mass' ? massOf(nearer) : nearer.length;
    if (missing <= size) {
      for (const { place } of [pivot, ...farther]) kernels.drop(place);
      undecided = nearer;
    } else {
      missing -= size + (measure === 'mass' ? pivot.weight : 1);
      kept += massOf(nearer) + pivot.weight;
      undecided = farther;
    }
  }
  return kept;
}

function middleOf(list: readonly Weighted[]): Weighted | undefined {
  return list[list.length >> 1];
}

function isNearer(a: Weighted, b: Weighted): boolean {
  return a.distance < b.distance || (a.distance === b.distance && a.place < b.place);
}

function massOf(list: readonly Weighted[]): number {
  return list.reduce((sum, { weight }) => sum + weight, 0);
}

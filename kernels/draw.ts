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
 * Draws an index of the row that is loaded, each as likely as its weight e^(logit / temperature), of those that all cuts leave:
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
  let mass = kernels.exponentials(max, 1 / temperature);
  if (Number.isNaN(mass)) throw new Error('no token can be drawn: a logit is not a number');
  if (minP > 0) mass = kernels.dropBelow(minP);
  if (topK > 0 && topK < kernels.row.length)
    mass = keepNearest(kernels, 'count', { centre: max, target: topK, reach: LONGEST_REACH * temperature });

  const keepMass = (centre: number, share: number): number => {
    // Those whose weights are below the n-th part of what may be left out can all be: what is nearer to the maximum holds enough.
    const enough = temperature * Math.log(kernels.row.length / ((1 - share) * mass));
    // A little more, so that nothing that counts is in the last bin.
    const reach = 1.001 * Math.max(max - centre, enough - (max - centre)) + 1e-4 * temperature;
    return keepNearest(kernels, 'mass', { centre, target: share * mass, reach });
  };
  if (topP < 1) mass = keepMass(max, topP);
  if (typicalP < 1) mass = keepMass(Math.fround(max + kernels.offset(max) / mass), typicalP);
  return kernels.locate(random * mass);
}

/**
 * Keeps the weights whose logits are nearest to the centre, of equally near ones those with lower indices, as few as come to `target`;
 * nothing that counts lies beyond `reach`. Returns their mass.
 *
 * All but one bin of distance are kept or cut as they are; only what is in that one has to be sorted.
 */
function keepNearest(
  kernels: RowKernels,
  measure: 'mass' | 'count',
  { centre, target, reach }: { readonly centre: number; readonly target: number; readonly reach: number },
): number {
  const bins = { centre, binsPerUnit: (BINS - 1) / reach };
  const { bin, before } = kernels.edgeBin(measure, bins, target);
  let { mass, inDoubt } = kernels.cut(bins, bin);
  inDoubt.sort((a, b) => a.distance - b.distance || a.index - b.index);
  let sum = before;
  for (const weighted of inDoubt) {
    if (sum >= target) break;
    sum += measure === 'mass' ? weighted.weight : 1;
    mass += weighted.weight;
    kernels.restore(weighted);
  }
  return mass;
}

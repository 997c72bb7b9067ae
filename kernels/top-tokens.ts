import { type RowKernels, rowKernels } from './simd/row-kernels.ts';

export interface TopToken {
  readonly id: number;
  readonly logit: number;
}

/** Within this of the maximum the largest logits are told apart before they are sorted; beyond, all are sorted. */
const REACH = 88;

const LARGEST_FLOAT = (2 - 2 ** -23) * 2 ** 127;

/**
 * The `count` largest logits of the loaded row, best first; among equal ones the lower id comes first. NaN and
 * -Infinity are never
 * among them, so there may be fewer. Takes most others out of the row.
 */
export function topTokens(kernels: RowKernels, count: number): TopToken[] {
  const max = kernels.max();
  if (count <= 0 || max === Number.NEGATIVE_INFINITY) return [];
  kernels.keepBetween(Math.max(kernels.boundOfLargest(count, max, REACH), -LARGEST_FLOAT), max);
  return Array.from(kernels.row, (logit, place) => ({ id: kernels.idAt(place), logit }))
    .sort((a, b) => b.logit - a.logit || a.id - b.id)
    .slice(0, count);
}

/** The id of the largest logit of the row that is loaded, the lowest of equals. -1 when there is no number above -Infinity. */
export function largest(kernels: RowKernels): number {
  const max = kernels.max();
  return max === Number.NEGATIVE_INFINITY ? -1 : kernels.idAt(kernels.row.indexOf(max));
}

/** The same of logits that are not loaded yet. */
export function argmax(logits: Float32Array): number {
  const kernels = rowKernels(logits.length);
  kernels.load(logits);
  return largest(kernels);
}

const BINS = 2048;
const binMass = new Float64Array(BINS);

/**
 * Locally typical sampling (Meister et al., 2022): of the first `count` of `ids`, moves to the front those whose surprise
 * (−log probability) is nearest to the expected one, as many as hold `typicalP` of the mass, at least one. Returns how
 * many. `weights` are proportional to probabilities, `logits` linear in their logarithms; both are read by id. No weight of
 * a token in `ids` may be 0.
 *
 * Distance from the expected surprise is distance from the mean logit, so that nothing needs a logarithm. By Chebyshev's
 * inequality the tokens within σ / √(1 − typicalP) of the mean hold enough mass: all others fall to a comparison. Of
 * those, mass is summed in bins of distance, and only the tokens of the one bin where the sum crosses are sorted.
 */
export function keepTypical(
  ids: Int32Array,
  count: number,
  { weights, logits }: { readonly weights: ArrayLike<number>; readonly logits: ArrayLike<number> },
  typicalP: number,
): number {
  const { total, mean, variance } = momentsOf(ids, count, weights, logits);
  const target = typicalP * total;
  // A little more, for what rounding did to the moments.
  const reach = 1.001 * Math.sqrt(variance / (1 - typicalP)) + 1e-4;
  const binsPerUnit = (BINS - 1) / reach;
  binMass.fill(0);
  let near = 0;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const distance = Math.abs(logits[id]! - mean);
    if (distance > reach) continue;
    ids[near++] = id;
    binMass[(distance * binsPerUnit) | 0]! += weights[id]!;
  }
  let edge = 0;
  let mass = 0;
  while (edge < BINS - 1 && mass + binMass[edge]! < target) mass += binMass[edge++]!;

  const edgeIds: number[] = [];
  let kept = 0;
  for (let i = 0; i < near; i++) {
    const id = ids[i]!;
    const bin = (Math.abs(logits[id]! - mean) * binsPerUnit) | 0;
    if (bin < edge) ids[kept++] = id;
    else if (bin === edge) edgeIds.push(id);
  }
  edgeIds.sort((a, b) => Math.abs(logits[a]! - mean) - Math.abs(logits[b]! - mean) || a - b);
  for (const id of edgeIds) {
    if (kept > 0 && mass >= target) break;
    mass += weights[id]!;
    ids[kept++] = id;
  }
  return kept;
}

/** Of the logits, in proportion to the weights; `total` is the weights' sum. */
function momentsOf(
  ids: Int32Array,
  count: number,
  weights: ArrayLike<number>,
  logits: ArrayLike<number>,
): { total: number; mean: number; variance: number } {
  let total = 0;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const weight = weights[id]!;
    const logit = logits[id]!;
    total += weight;
    sum += weight * logit;
    squares += weight * logit * logit;
  }
  const mean = sum / total;
  return { total, mean, variance: Math.max(0, squares / total - mean * mean) };
}

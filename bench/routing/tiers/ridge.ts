/**
 * The weights w, first the constant, that make Σ (y − w·[1, x])² + penalty·|w|² least; the constant is not penalised. By Cholesky's
 * decomposition of the normal equations.
 */
export function ridge(rows: readonly ArrayLike<number>[], targets: readonly number[], penalty: number) {
  const size = rows[0]!.length + 1;
  const normal = new Float64Array(size * size);
  const right = new Float64Array(size);
  const row = new Float64Array(size);
  for (const [n, x] of rows.entries()) {
    row[0] = 1;
    for (let i = 1; i < size; i += 1) row[i] = x[i - 1]!;
    for (let i = 0; i < size; i += 1) {
      right[i]! += row[i]! * targets[n]!;
      for (let j = 0; j <= i; j += 1) normal[i * size + j]! += row[i]! * row[j]!;
    }
  }
  for (let i = 1; i < size; i += 1) normal[i * size + i]! += penalty;
  for (let i = 0; i < size; i += 1)
    for (let j = 0; j <= i; j += 1) {
      let sum = normal[i * size + j]!;
      for (let k = 0; k < j; k += 1) sum -= normal[i * size + k]! * normal[j * size + k]!;
      normal[i * size + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / normal[j * size + j]!;
    }
  for (let i = 0; i < size; i += 1) {
    for (let k = 0; k < i; k += 1) right[i]! -= normal[i * size + k]! * right[k]!;
    right[i]! /= normal[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; i -= 1) {
    for (let k = i + 1; k < size; k += 1) right[i]! -= normal[k * size + i]! * right[k]!;
    right[i]! /= normal[i * size + i]!;
  }
  return right;
}

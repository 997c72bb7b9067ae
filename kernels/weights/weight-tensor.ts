/** A tensor that lies in a file, whatever the file's format. */
export interface WeightTensor {
  readonly name: string;
  /** The contiguous dimension (columns, K) first, rows after. */
  readonly dims: readonly number[];
  /** How the weights are stored, by ggml's name: `F32`, `BF16`, `Q4_1`, … */
  readonly type: string;
  readonly path: string;
  /** Position in the file, bytes. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** The product of all but the contiguous dimension. */
export function tensorRowCount(tensor: WeightTensor): number {
  return tensor.dims.slice(1).reduce((product, dim) => product * dim, 1);
}

/** Some rows of a matrix, as a matrix. */
export function matrixRows(matrix: WeightTensor, first: number, count: number): WeightTensor {
  const rowBytes = matrix.sizeBytes / tensorRowCount(matrix);
  return {
    ...matrix,
    dims: [matrix.dims[0]!, count],
    offset: matrix.offset + first * rowBytes,
    sizeBytes: count * rowBytes,
  };
}

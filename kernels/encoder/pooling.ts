/** How the vectors of a text's tokens become one; the names of sentence-transformers' Pooling module, shortened. */
export type Pooling = 'cls' | 'mean' | 'mean-sqrt-len' | 'max' | 'last';

/** Hidden states of a batch, row-major [B, S, H]. Row b has `lengths[b]` tokens, then padding, which never counts. */
export interface HiddenStates {
  readonly data: Float32Array;
  readonly sequenceLength: number;
  readonly hiddenSize: number;
  readonly lengths: readonly number[];
}

/** One vector of H numbers per row. */
export function pool(states: HiddenStates, pooling: Pooling): Float32Array[] {
  const { sequenceLength, hiddenSize, lengths } = states;
  return lengths.map((length, row) => poolRow(states, row * sequenceLength * hiddenSize, length, pooling));
}

function poolRow(
  { data, hiddenSize }: HiddenStates,
  start: number,
  length: number,
  pooling: Pooling,
): Float32Array {
  switch (pooling) {
    case 'cls':
      return data.slice(start, start + hiddenSize);
    case 'last':
      return data.slice(start + (length - 1) * hiddenSize, start + length * hiddenSize);
    case 'max':
      return largest(data, start, length, hiddenSize);
    case 'mean':
      return scaledSum(data, start, length, hiddenSize, 1 / length);
    case 'mean-sqrt-len':
      return scaledSum(data, start, length, hiddenSize, 1 / Math.sqrt(length));
  }
}

/** Summed in float64, so that the order of a batch's rows cannot show in the result. */
function scaledSum(
  data: Float32Array,
  start: number,
  length: number,
  size: number,
  scale: number,
): Float32Array {
  const sum = new Float64Array(size);
  let at = start;
  for (let token = 0; token < length; token++) for (let i = 0; i < size; i++) sum[i]! += data[at++]!;
  return Float32Array.from(sum, (value) => value * scale);
}

function largest(data: Float32Array, start: number, length: number, size: number): Float32Array {
  const result = data.slice(start, start + size);
  let at = start + size;
  for (let token = 1; token < length; token++)
    for (let i = 0; i < size; i++, at++) if (data[at]! > result[i]!) result[i] = data[at]!;
  return result;
}

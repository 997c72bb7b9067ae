import type { Handle, OrtApi } from './api.ts';
import type { TensorData } from './pinned.ts';

/** `ONNXTensorElementDataType` of half-precision floats, for which there is no array type here. */
export const FLOAT16 = 10;

/** `ONNXTensorElementDataType` of the array types that tensors are made of. */
export const ELEMENT_TYPE: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  [Float32Array, 1],
  [Int32Array, 6],
  [BigInt64Array, 7],
  // A boolean to a byte.
  [Uint8Array, 9],
]);

export interface Tensor {
  readonly handle: Handle;
  /**
   * Native code holds a raw pointer into this array: it has to live, and stay where it is, as long as the tensor. Undefined
   * for tensors in a device's memory.
   */
  readonly data: TensorData | undefined;
}

/** A tensor over memory that is there already: an array, or a pointer into memory of the kind `memoryInfo` describes. */
export function tensorOver(
  api: OrtApi,
  memoryInfo: Handle,
  data: TensorData | { readonly pointer: Handle; readonly elementBytes: number },
  dims: readonly number[],
  type: number,
): Handle {
  const elements = dims.reduce((product, dim) => product * dim, 1);
  const [pointer, elementBytes] =
    'pointer' in data ? [data.pointer, data.elementBytes] : [data, data.BYTES_PER_ELEMENT];
  return api.create(
    'CreateTensorWithDataAsOrtValue',
    memoryInfo,
    pointer,
    elements * elementBytes,
    BigInt64Array.from(dims, (dim) => BigInt(dim)),
    dims.length,
    type,
  );
}

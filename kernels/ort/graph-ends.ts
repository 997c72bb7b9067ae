import koffi from 'koffi';
import type { Handle, OrtApi } from './api.ts';

/** An input or output of a graph, as its file declares it. */
export interface GraphEnd {
  readonly name: string;
  /** `ONNXTensorElementDataType`; undefined: it is no tensor. */
  readonly type: number | undefined;
  /** -1: not said. */
  readonly dims: readonly number[];
}

const FUNCTIONS = {
  input: ['SessionGetInputCount', 'SessionGetInputName', 'SessionGetInputTypeInfo'],
  output: ['SessionGetOutputCount', 'SessionGetOutputName', 'SessionGetOutputTypeInfo'],
} as const;

/** All inputs or all outputs, in the order of the file. */
export function graphEnds(api: OrtApi, session: Handle, side: 'input' | 'output'): GraphEnd[] {
  const [countOf, nameOf, typeInfoOf] = FUNCTIONS[side];
  const allocator = api.create('GetAllocatorWithDefaultOptions');
  return Array.from({ length: Number(api.create(countOf, session)) }, (_, index) => {
    const text = api.create(nameOf, session, index, allocator);
    const name: string = koffi.decode(text, 'char', -1);
    api.call('AllocatorFree', allocator, text);
    const typeInfo = api.create(typeInfoOf, session, index);
    try {
      const tensor = api.create('CastTypeInfoToTensorInfo', typeInfo);
      if (tensor === null) return { name, type: undefined, dims: [] };
      return { name, type: Number(api.create('GetTensorElementType', tensor)), dims: dimsOf(api, tensor) };
    } finally {
      api.release('ReleaseTypeInfo', typeInfo);
    }
  });
}

/** Of an `OrtTensorTypeAndShapeInfo`. */
export function dimsOf(api: OrtApi, info: Handle): number[] {
  const dims = new BigInt64Array(Number(api.create('GetDimensionsCount', info)));
  api.call('GetDimensions', info, dims, dims.length);
  return Array.from(dims, Number);
}

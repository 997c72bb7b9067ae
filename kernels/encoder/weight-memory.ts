import { ELEMENT_TYPE } from '../graph/onnx-messages.ts';
import type { GraphView } from './graph-view.ts';
import { LEAST_SIZE } from './integer-graph.ts';

/** Stored types that ONNX Runtime turns into float32 when it loads a graph for the CPU. */
const BECOME_FLOATS: ReadonlySet<number> = new Set([
  ELEMENT_TYPE.float32,
  ELEMENT_TYPE.float16,
  ELEMENT_TYPE.uint8,
  ELEMENT_TYPE.int8,
]);

/** A matrix that is multiplied lies there as it is and once more as the kernels like it. */
const COPIES_OF_MATRIX = 2;

/** What stands between a stored table and the Gather that looks rows up in it. */
const ON_THE_WAY: ReadonlySet<string> = new Set(['DequantizeLinear', 'Cast', 'Mul', 'Transpose']);

/**
 * Bytes that an encoder's weights take in memory on the CPU, whatever they are stored as: tables of embeddings as float32, matrices
 * as float32 or, with `integers`, as 8-bit integers (see integer-graph.ts).
 */
export function weightMemoryBytes(view: GraphView, { integers }: { readonly integers: boolean }): number {
  let bytes = 0;
  for (const { name, type, dims } of view.tensors()) {
    const elements = dims.reduce((product, dim) => product * dim, 1);
    const isMatrix = dims.length === 2 && Math.min(...dims) >= LEAST_SIZE && !isTable(view, name);
    if (!BECOME_FLOATS.has(type)) bytes += 8 * elements;
    else if (isMatrix) bytes += COPIES_OF_MATRIX * (integers ? 1 : 4) * elements;
    else bytes += 4 * elements;
  }
  return bytes;
}

function isTable(view: GraphView, name: string): boolean {
  return view
    .consumers(name)
    .some(
      ({ operator, outputs }) =>
        operator === 'Gather' || (ON_THE_WAY.has(operator) && isTable(view, outputs[0]!)),
    );
}

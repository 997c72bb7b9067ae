import { closeSync, openSync, readSync } from 'node:fs';
import { ModelFileError } from '../model-file-error.ts';
import { DEQUANTISERS, type Dequantiser } from './dequantise.ts';
import type { GgufFile, GgufTensor } from './reader.ts';
import { TENSOR_TYPES } from './tensor-types.ts';

const CHUNK_BYTES = 4 * 2 ** 20;

/** Reads the weights of an open GGUF file in pieces of a few MiB: the model is never in memory as a whole. */
export class TensorRows {
  readonly #file: GgufFile;
  readonly #fileDescriptor: number;

  constructor(file: GgufFile) {
    this.#file = file;
    this.#fileDescriptor = openSync(file.path, 'r');
  }

  close(): void {
    closeSync(this.#fileDescriptor);
  }

  /**
   * Visits the tensor's rows in order, some at a time: `packed` holds `rows` packed rows from `firstRow` on and is
   * reused for the next visit.
   */
  visitPacked(tensor: GgufTensor, visit: (packed: Uint8Array, firstRow: number, rows: number) => void): void {
    const rowCount = tensorRowCount(tensor);
    const rowBytes = tensor.sizeBytes / rowCount;
    const rowsAtOnce = Math.max(1, Math.min(rowCount, Math.floor(CHUNK_BYTES / rowBytes)));
    const buffer = new Uint8Array(rowsAtOnce * rowBytes);
    for (let firstRow = 0; firstRow < rowCount; firstRow += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, rowCount - firstRow);
      const packed = buffer.subarray(0, rows * rowBytes);
      this.#readFully(packed, tensor.offset + firstRow * rowBytes, tensor.name);
      visit(packed, firstRow, rows);
    }
  }

  /** As visitPacked, with the weights as float32 [rows × columns]. Throws ModelFileError when one is not finite. */
  visitFloats(
    tensor: GgufTensor,
    visit: (floats: Float32Array, firstRow: number, rows: number) => void,
  ): void {
    const columns = tensor.dims[0]!;
    const { dequantise, blockElements } = codec(tensor);
    let floats = new Float32Array(0);
    this.visitPacked(tensor, (packed, firstRow, rows) => {
      if (floats.length !== rows * columns) floats = new Float32Array(rows * columns);
      dequantise(packed, floats.length / blockElements, floats);
      for (let i = 0; i < floats.length; i++)
        if (!Number.isFinite(floats[i]))
          throw new ModelFileError(
            this.#file.path,
            `tensor ${tensor.name} holds a weight that is not a finite number (row ${firstRow + Math.floor(i / columns)})`,
          );
      visit(floats, firstRow, rows);
    });
  }

  /** A whole tensor as float32; for norms, biases and other vectors. */
  vector(tensor: GgufTensor): Float32Array {
    const whole = new Float32Array(tensor.dims.reduce((product, dim) => product * dim, 1));
    this.visitFloats(tensor, (floats, firstRow) => whole.set(floats, firstRow * tensor.dims[0]!));
    return whole;
  }

  #readFully(target: Uint8Array, position: number, name: string): void {
    let done = 0;
    while (done < target.length) {
      const read = readSync(this.#fileDescriptor, target, done, target.length - done, position + done);
      if (read === 0)
        throw new ModelFileError(this.#file.path, `the file became shorter while tensor ${name} was read`);
      done += read;
    }
  }
}

/** Rows of a tensor: the product of all but the contiguous dimension. */
export function tensorRowCount(tensor: GgufTensor): number {
  return tensor.dims.slice(1).reduce((product, dim) => product * dim, 1);
}

function codec(tensor: GgufTensor): { dequantise: Dequantiser; blockElements: number } {
  const type = [...TENSOR_TYPES.values()].find((each) => each.name === tensor.type)!;
  return { dequantise: DEQUANTISERS[tensor.type]!, blockElements: type.blockElements };
}

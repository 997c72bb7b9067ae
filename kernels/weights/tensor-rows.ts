import { closeSync, openSync, readSync } from 'node:fs';
import { DEQUANTISERS, type Dequantiser } from '../gguf/dequantise.ts';
import { TENSOR_TYPES } from '../gguf/tensor-types.ts';
import { ModelFileError } from '../model-file-error.ts';
import { tensorRowCount, type WeightTensor } from './weight-tensor.ts';

const CHUNK_BYTES = 4 * 2 ** 20;

/**
 * Reads weights in pieces of a few MiB: the model is never in memory as a whole. Files are opened as they are needed and
 * stay open until `close`.
 */
export class TensorRows {
  readonly #fileDescriptors = new Map<string, number>();

  close(): void {
    for (const fileDescriptor of this.#fileDescriptors.values()) closeSync(fileDescriptor);
    this.#fileDescriptors.clear();
  }

  /**
   * Visits the tensor's rows in order, some at a time: `packed` holds `rows` packed rows from `firstRow` on and is
   * reused for the next visit.
   */
  visitPacked(
    tensor: WeightTensor,
    visit: (packed: Uint8Array, firstRow: number, rows: number) => void,
  ): void {
    const rowCount = tensorRowCount(tensor);
    const rowBytes = tensor.sizeBytes / rowCount;
    const rowsAtOnce = Math.max(1, Math.min(rowCount, Math.floor(CHUNK_BYTES / rowBytes)));
    const buffer = new Uint8Array(rowsAtOnce * rowBytes);
    for (let firstRow = 0; firstRow < rowCount; firstRow += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, rowCount - firstRow);
      const packed = buffer.subarray(0, rows * rowBytes);
      this.#readFully(packed, tensor, firstRow * rowBytes);
      visit(packed, firstRow, rows);
    }
  }

  /** As visitPacked, with the weights as float32 [rows × columns]. Throws ModelFileError when one is not finite. */
  visitFloats(
    tensor: WeightTensor,
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
            tensor.path,
            `tensor ${tensor.name} holds a weight that is not a finite number (row ${firstRow + Math.floor(i / columns)})`,
          );
      visit(floats, firstRow, rows);
    });
  }

  /** A whole tensor as float32; for norms, biases and other vectors. */
  vector(tensor: WeightTensor): Float32Array {
    const whole = new Float32Array(tensor.dims.reduce((product, dim) => product * dim, 1));
    this.visitFloats(tensor, (floats, firstRow) => whole.set(floats, firstRow * tensor.dims[0]!));
    return whole;
  }

  #readFully(target: Uint8Array, tensor: WeightTensor, position: number): void {
    const fileDescriptor = this.#open(tensor.path);
    const start = tensor.offset + position;
    let done = 0;
    while (done < target.length) {
      const read = readSync(fileDescriptor, target, done, target.length - done, start + done);
      if (read === 0)
        throw new ModelFileError(tensor.path, `the file became shorter while tensor ${tensor.name} was read`);
      done += read;
    }
  }

  #open(path: string): number {
    let fileDescriptor = this.#fileDescriptors.get(path);
    if (fileDescriptor === undefined) {
      fileDescriptor = openSync(path, 'r');
      this.#fileDescriptors.set(path, fileDescriptor);
    }
    return fileDescriptor;
  }
}

function codec(tensor: WeightTensor): { dequantise: Dequantiser; blockElements: number } {
  const type = [...TENSOR_TYPES.values()].find((each) => each.name === tensor.type)!;
  return { dequantise: DEQUANTISERS[tensor.type]!, blockElements: type.blockElements };
}

import type { TensorRows } from '../weights/tensor-rows.ts';
import { tensorRowCount, type WeightTensor } from '../weights/weight-tensor.ts';
import type { ExternalRegion } from './external-data.ts';
import type { OnnxGraph } from './onnx-graph.ts';
import type { MatrixPart, WeightEncoder } from './weight-encoder.ts';

const FLOAT_BYTES = 4;

/** Float32 weights: the reference that the 8-bit graph is measured against. */
export class FloatEncoder implements WeightEncoder {
  readonly #graph: OnnxGraph;
  readonly #rows: TensorRows;
  #embedding = '';

  constructor(graph: OnnxGraph, rows: TensorRows) {
    this.#graph = graph;
    this.#rows = rows;
  }

  linear(input: string, parts: readonly MatrixPart[], output: string, bias?: Float32Array): string {
    const columns = parts[0]!.tensor.dims[0]!;
    const rowCount = parts.reduce((sum, part) => sum + tensorRowCount(part.tensor), 0);
    const weight = `${output}.weight`;
    const region = this.#graph.external(weight, 'float32', [rowCount, columns]);
    let partStart = 0;
    for (const part of parts) {
      this.#write(part, region, partStart);
      partStart += tensorRowCount(part.tensor);
    }
    const inputs = [input, weight];
    if (bias !== undefined) inputs.push(this.#graph.float32(`${output}.bias`, bias, [bias.length]));
    return this.#graph.node('Gemm', inputs, [output], { transB: 1 });
  }

  embed(tensor: WeightTensor, ids: string, output: string): string {
    const region = this.#graph.external('embedding', 'float32', [tensor.dims[1]!, tensor.dims[0]!]);
    this.#write({ tensor }, region, 0);
    this.#embedding = 'embedding';
    return this.#graph.node('Gather', ['embedding', ids], [output], { axis: 0 });
  }

  tiedHead(input: string, output: string): string {
    return this.#graph.node('Gemm', [input, this.#embedding], [output], { transB: 1 });
  }

  #write(part: MatrixPart, region: ExternalRegion, partStart: number): void {
    const rowBytes = part.tensor.dims[0]! * FLOAT_BYTES;
    this.#rows.visitFloats(part.tensor, (floats, firstRow, rows) => {
      const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
      if (part.targetRow === undefined) {
        region.write((partStart + firstRow) * rowBytes, bytes);
        return;
      }
      for (let row = 0; row < rows; row++)
        region.write(
          (partStart + part.targetRow(firstRow + row)) * rowBytes,
          bytes.subarray(row * rowBytes, (row + 1) * rowBytes),
        );
    });
  }
}

import { ModelFileError } from '../model-file-error.ts';
import type { TensorRows } from '../weights/tensor-rows.ts';
import { tensorRowCount, type WeightTensor } from '../weights/weight-tensor.ts';
import {
  BLOCK,
  type EightBitBlocks,
  LOSSLESS_CONVERTERS,
  newEightBitBlocks,
  quantiseFloats,
} from './eight-bit.ts';
import type { ExternalRegion } from './external-data.ts';
import type { OnnxGraph } from './onnx-graph.ts';
import type { MatrixPart, WeightEncoder } from './weight-encoder.ts';

/** Activations are quantised to 8 bit too and multiplied in integers: the fast kernels of ONNX Runtime. */
const ACCURACY_LEVEL = 4;

interface EightBitRegions {
  readonly quants: ExternalRegion;
  readonly scales: ExternalRegion;
  /** Absent where every zero point is the default. */
  readonly zeroPoints: ExternalRegion | undefined;
}

/** 8-bit weights in blocks of 32, for MatMulNBits and GatherBlockQuantized. */
export class EightBitEncoder implements WeightEncoder {
  /** Quantisations that could not be taken over without loss. */
  readonly requantised = new Set<string>();
  readonly #graph: OnnxGraph;
  readonly #rows: TensorRows;
  #embedding: { tensor: WeightTensor; regions: EightBitRegions } | undefined;

  constructor(graph: OnnxGraph, rows: TensorRows) {
    this.#graph = graph;
    this.#rows = rows;
  }

  linear(input: string, parts: readonly MatrixPart[], output: string, bias?: Float32Array): string {
    const columns = parts[0]!.tensor.dims[0]!;
    const rowCount = parts.reduce((sum, part) => sum + tensorRowCount(part.tensor), 0);
    const blocks = (rowCount * columns) / BLOCK;
    const symmetric = parts.every((part) => part.tensor.type in LOSSLESS_CONVERTERS);
    const regions: EightBitRegions = {
      quants: this.#graph.external(`${output}.quants`, 'uint8', [rowCount, columns / BLOCK, BLOCK]),
      scales: this.#graph.external(`${output}.scales`, 'float32', [blocks]),
      zeroPoints: symmetric ? undefined : this.#graph.external(`${output}.zeros`, 'uint8', [blocks]),
    };
    let partStart = 0;
    for (const part of parts) {
      this.#write(part, regions, partStart);
      partStart += tensorRowCount(part.tensor);
    }
    const inputs = [input, `${output}.quants`, `${output}.scales`];
    if (!symmetric || bias !== undefined) inputs.push(symmetric ? '' : `${output}.zeros`);
    // The fifth input, a group index, is for another quantisation scheme.
    if (bias !== undefined) inputs.push('', this.#graph.float32(`${output}.bias`, bias, [bias.length]));
    return this.#matMul(inputs, output, columns, rowCount);
  }

  embed(tensor: WeightTensor, ids: string, output: string): string {
    const columns = tensor.dims[0]!;
    const vocabSize = tensor.dims[1]!;
    const regions: EightBitRegions = {
      quants: this.#graph.external('embedding.quants', 'uint8', [vocabSize, columns]),
      scales: this.#graph.external('embedding.scales', 'float32', [vocabSize, columns / BLOCK]),
      zeroPoints: undefined,
    };
    this.#write({ tensor }, regions, 0);
    this.#embedding = { tensor, regions };
    return this.#graph.node('GatherBlockQuantized', ['embedding.quants', ids, 'embedding.scales'], [output], {
      bits: 8,
      block_size: BLOCK,
      gather_axis: 0,
      quantize_axis: 1,
    });
  }

  tiedHead(input: string, output: string): string {
    const { tensor, regions } = this.#embedding!;
    const columns = tensor.dims[0]!;
    const vocabSize = tensor.dims[1]!;
    const blocksPerRow = columns / BLOCK;
    this.#graph.external(`${output}.quants`, 'uint8', [vocabSize, blocksPerRow, BLOCK], regions.quants);
    this.#graph.external(`${output}.scales`, 'float32', [vocabSize * blocksPerRow], regions.scales);
    return this.#matMul([input, `${output}.quants`, `${output}.scales`], output, columns, vocabSize);
  }

  #matMul(inputs: readonly string[], output: string, columns: number, rows: number): string {
    return this.#graph.node('MatMulNBits', inputs, [output], {
      K: columns,
      N: rows,
      bits: 8,
      block_size: BLOCK,
      accuracy_level: ACCURACY_LEVEL,
    });
  }

  #write(part: MatrixPart, regions: EightBitRegions, partStart: number): void {
    const { tensor } = part;
    const columns = tensor.dims[0]!;
    if (columns % BLOCK !== 0)
      throw new ModelFileError(
        tensor.path,
        `tensor ${tensor.name} has ${columns} columns, not a multiple of ${BLOCK}`,
      );
    const blocksPerRow = columns / BLOCK;
    let encoded = newEightBitBlocks(0);
    const reserve = (rows: number): EightBitBlocks => {
      if (encoded.scales.length !== rows * blocksPerRow) encoded = newEightBitBlocks(rows * blocksPerRow);
      return encoded;
    };
    const store = (firstRow: number, rows: number) =>
      storeRows(encoded, regions, part, { partStart, firstRow, rows, blocksPerRow });

    const convert = LOSSLESS_CONVERTERS[tensor.type];
    if (convert !== undefined) {
      this.#rows.visitPacked(tensor, (packed, firstRow, rows) => {
        const { scales } = reserve(rows);
        convert(packed, scales.length, encoded);
        if (!scales.every(Number.isFinite))
          throw new ModelFileError(
            tensor.path,
            `tensor ${tensor.name} holds a scale that is not a finite number`,
          );
        store(firstRow, rows);
      });
      return;
    }
    this.requantised.add(tensor.type);
    this.#rows.visitFloats(tensor, (floats, firstRow, rows) => {
      quantiseFloats(floats, reserve(rows), { symmetric: regions.zeroPoints === undefined });
      store(firstRow, rows);
    });
  }
}

interface RowRange {
  readonly partStart: number;
  readonly firstRow: number;
  readonly rows: number;
  readonly blocksPerRow: number;
}

function storeRows(
  encoded: EightBitBlocks,
  regions: EightBitRegions,
  part: MatrixPart,
  range: RowRange,
): void {
  const { quants, scales, zeroPoints } = encoded;
  const { partStart, firstRow, rows, blocksPerRow } = range;
  const scaleBytes = new Uint8Array(scales.buffer);
  const put = (targetRow: number, from: number, to: number) => {
    const start = from * blocksPerRow;
    const end = to * blocksPerRow;
    const target = targetRow * blocksPerRow;
    regions.quants.write(target * BLOCK, quants.subarray(start * BLOCK, end * BLOCK));
    regions.scales.write(target * 4, scaleBytes.subarray(start * 4, end * 4));
    regions.zeroPoints?.write(target, zeroPoints.subarray(start, end));
  };
  if (part.targetRow === undefined) {
    put(partStart + firstRow, 0, rows);
    return;
  }
  for (let row = 0; row < rows; row++) put(partStart + part.targetRow(firstRow + row), row, row + 1);
}

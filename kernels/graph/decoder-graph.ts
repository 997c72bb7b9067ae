import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import type { DecoderShape } from '../decoder-shape.ts';
import { TensorRows } from '../weights/tensor-rows.ts';
import { addDecoderInputs } from './decoder-context.ts';
import type { DecoderSource } from './decoder-source.ts';
import { EightBitEncoder } from './eight-bit-encoder.ts';
import { ExternalData } from './external-data.ts';
import { FloatEncoder } from './float-encoder.ts';
import { ModelTensors } from './model-tensors.ts';
import { OnnxGraph } from './onnx-graph.ts';

/** To be raised with every change that makes other graphs or weights of the same file: cached graphs are rebuilt then. */
export const BUILDER_VERSION = 3;

export interface BuildOptions {
  readonly source: DecoderSource;
  /** Where the graph goes. Its weights go beside it, into `outputPath` + `.data`. */
  readonly outputPath: string;
  /** `8bit` for serving; `fp32`, a reference, takes four bytes per weight. */
  readonly variant: '8bit' | 'fp32';
}

export interface BuiltDecoderGraph {
  readonly shape: DecoderShape;
  /** Storage types of the file that were changed on the way, such as `Q4_K`: empty when the weights are as in the file. */
  readonly requantised: readonly string[];
  readonly graphBytes: number;
  readonly dataBytes: number;
}

/**
 * Writes the ONNX graph of a model. While `outputPath` exists, both files are whole and belong together: they are
 * made under other names, and an older graph is taken away before its weights are replaced. Throws ModelFileError for
 * models that cannot be used; on any error nothing new is left behind.
 */
export function buildDecoderGraph({ source, outputPath, variant }: BuildOptions): BuiltDecoderGraph {
  const suffix = `.${randomUUID()}.tmp`;
  const dataPath = `${outputPath}.data`;
  const temporary = { graph: outputPath + suffix, data: dataPath + suffix };
  try {
    const built = writeFiles(source, variant, temporary, basename(dataPath));
    rmSync(outputPath, { force: true });
    renameSync(temporary.data, dataPath);
    renameSync(temporary.graph, outputPath);
    return built;
  } finally {
    rmSync(temporary.data, { force: true });
    rmSync(temporary.graph, { force: true });
  }
}

function writeFiles(
  source: DecoderSource,
  variant: BuildOptions['variant'],
  paths: { graph: string; data: string },
  dataLocation: string,
): BuiltDecoderGraph {
  const { architecture, parameters, interleavedRope } = source;
  const data = new ExternalData(paths.data, dataLocation);
  try {
    const rows = new TensorRows();
    try {
      const tensors = new ModelTensors(source);
      const graph = new OnnxGraph(data);
      const eightBit = variant === '8bit' ? new EightBitEncoder(graph, rows) : undefined;
      const encoder = eightBit ?? new FloatEncoder(graph, rows);
      const context = { graph, encoder, rows, tensors, parameters, interleavedRope };
      addDecoderInputs(context);
      architecture.addDecoder(context);
      tensors.assertAllUsed();
      data.finish();
      const serialised = graph.serialise();
      writeDurably(paths.graph, serialised);
      return {
        shape: {
          architecture: architecture.name,
          vocabSize: parameters.vocabSize,
          layers: parameters.layers,
          kvHeads: parameters.kvHeads,
          headDim: parameters.headDim,
          maxContextTokens: parameters.maxContextTokens,
        },
        requantised: [...(eightBit?.requantised ?? [])].sort(),
        graphBytes: serialised.length,
        dataBytes: data.sizeBytes,
      };
    } finally {
      rows.close();
    }
  } finally {
    data.close();
  }
}

function writeDurably(path: string, bytes: Uint8Array): void {
  const fileDescriptor = openSync(path, 'w');
  try {
    let done = 0;
    while (done < bytes.length) done += writeSync(fileDescriptor, bytes, done);
    fsyncSync(fileDescriptor);
  } finally {
    closeSync(fileDescriptor);
  }
}

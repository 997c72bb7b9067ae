import { join } from 'node:path';
import type { DecoderShape } from '../decoder-shape.ts';
import { BuildCache, type Cached } from './build-cache.ts';
import { BUILDER_VERSION, type BuiltDecoderGraph, buildDecoderGraph } from './decoder-graph.ts';
import { decoderFiles, modelStem, readDecoderSource } from './model-path.ts';

export interface CachedDecoderGraph {
  readonly graphPath: string;
  readonly shape: DecoderShape;
  readonly weightsBytes: number;
  /** Storage types of the file that were changed on the way to 8 bit, such as `Q4_K`: empty when the weights are as in the file. */
  readonly requantised: readonly string[];
}

const GRAPH_FILE = 'decoder.onnx';
const DATA_FILE = `${GRAPH_FILE}.data`;

/**
 * The 8-bit graph of a model, a GGUF file or a Hugging Face directory, built on the first call (about a second per
 * 100 MB) and again when a file or the builder changed. Kept in the first of `cacheDirs` that has it or can be written
 * to. Synchronous. Throws ModelFileError when the model is damaged or not supported.
 */
export function ensureDecoderGraph(modelPath: string, ...cacheDirs: readonly string[]): CachedDecoderGraph {
  const cache = new BuildCache<BuiltDecoderGraph>(
    {
      stem: modelStem(modelPath),
      builderVersion: BUILDER_VERSION,
      path: modelPath,
      files: decoderFiles(modelPath),
    },
    cacheDirs,
    ({ graphBytes, dataBytes }) => ({ [GRAPH_FILE]: graphBytes, [DATA_FILE]: dataBytes }),
  );
  const cached = cache.find();
  if (cached !== undefined) return cachedGraph(cached);
  const building = cache.begin();
  try {
    const built = buildDecoderGraph({
      source: readDecoderSource(modelPath),
      outputPath: join(building.folder, GRAPH_FILE),
      variant: '8bit',
    });
    return cachedGraph(building.publish(built));
  } finally {
    building.discard();
  }
}

function cachedGraph({ folder, built }: Cached<BuiltDecoderGraph>): CachedDecoderGraph {
  return {
    graphPath: join(folder, GRAPH_FILE),
    shape: built.shape,
    weightsBytes: built.dataBytes,
    requantised: built.requantised,
  };
}

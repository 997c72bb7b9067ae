import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { GraphView } from '../../kernels/encoder/graph-view.ts';
import { weightMemoryBytes } from '../../kernels/encoder/weight-memory.ts';
import { readEncoderDirectory } from './encoder-directory.ts';

/** Of a graph with its weights; larger ones are not read to find out what they hold. */
const MOST_READ_BYTES = 2 ** 30;

/** Of a graph with its weights, which is loaded twice up to this. */
export const MOST_DOUBLED_BYTES = 256 * 2 ** 20;

/**
 * Float32 numbers that are computed for each token and lie in memory together, per number of a hidden state. Measured with full batches
 * of inputs of 256 tokens, side by side and in integers, where it is the most (67), and a little more.
 */
const ACTIVATIONS_PER_HIDDEN = 72;

export interface EncoderMemory {
  /** Small models are there twice: for one batch with all threads, and for several side by side. */
  readonly weightsBytes: number;
  /** Of one batch of `batchTokens`. */
  readonly activationBytes: number;
}

/** What an encoder will take in memory on the CPU, beside its process. Throws ModelFileError as `readEncoderDirectory` does. */
export function encoderMemory(
  directory: string,
  options: { readonly batchTokens: number; readonly integers: boolean },
): EncoderMemory {
  const { graphPath, task, hiddenSize } = readEncoderDirectory(directory);
  const weights = weightsBytes(graphPath, options.integers && task === 'embed');
  return {
    weightsBytes: weights <= MOST_DOUBLED_BYTES ? 2 * weights : weights,
    activationBytes: activationBytes(hiddenSize, options.batchTokens),
  };
}

/** Of `tokens` that are computed together, in one batch or in several side by side. */
export function activationBytes(hiddenSize: number, tokens: number): number {
  return 4 * ACTIVATIONS_PER_HIDDEN * hiddenSize * tokens;
}

function weightsBytes(graphPath: string, integers: boolean): number {
  if (statSync(graphPath).size <= MOST_READ_BYTES) {
    try {
      return weightMemoryBytes(new GraphView(readFileSync(graphPath)), { integers });
    } catch (error) {
      // What cannot be read is for ONNX Runtime to say.
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return storedBytes(graphPath);
}

/** Of the graph and of the files beside it that hold its weights, which are called like it. */
export function storedBytes(graphPath: string): number {
  const folder = dirname(graphPath);
  const files = readdirSync(folder).filter((name) => name.startsWith(basename(graphPath)));
  return files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

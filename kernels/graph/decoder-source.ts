import type { WeightTensor } from '../weights/weight-tensor.ts';
import type { Architecture } from './architectures/architecture.ts';
import type { TensorNames } from './architectures/tensor-names.ts';
import type { Hyperparameters } from './hyperparameters.ts';

/** What a graph is built from: a decoder's numbers and weights, whichever kind of file they were read from. */
export interface DecoderSource {
  /** The file, or the directory, for messages. */
  readonly path: string;
  readonly architecture: Architecture;
  readonly parameters: Hyperparameters;
  /** By the names of `names`. */
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  readonly names: TensorNames;
  /** Rows of q and k are in the order of interleaved rotary embeddings. */
  readonly interleavedRope: boolean;
}

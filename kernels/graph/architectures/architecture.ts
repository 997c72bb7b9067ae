import type { DecoderContext } from '../decoder-context.ts';
import type { HeadSizes, Hyperparameters } from '../hyperparameters.ts';
import type { Settings } from '../settings.ts';
import type { TensorNames } from './tensor-names.ts';

/** All that sets one decoder architecture apart from the others. A new one is a file beside this, and a line in the table. */
export interface Architecture {
  /** The value of `general.architecture` in GGUF files. */
  readonly name: string;
  /** What `architectures` in a Hugging Face config.json may name. */
  readonly classes: readonly string[];
  readonly names: { readonly gguf: TensorNames; readonly safetensors: TensorNames };
  /**
   * GGUF files hold the rows of q and k in the order of interleaved rotary embeddings (pairs 2i, 2i+1), as llama.cpp's
   * converter writes them for some architectures; the graph rotates halves (i, i + D/2), as transformers does.
   */
  readonly ggufInterleavesRope: boolean;
  /** What the settings of its files say beyond what those of all do, and what is always so. Neither: all is as most have it. */
  readonly traits?: {
    readonly gguf: (settings: Settings, sizes: HeadSizes) => Partial<Hyperparameters>;
    readonly safetensors: (settings: Settings, sizes: HeadSizes) => Partial<Hyperparameters>;
  };
  /** What a config.json may call the activation; `silu` unless it is given. */
  readonly activations?: readonly string[];
  /** Adds the operators that lead from the graph's inputs to its outputs: see `addDecoderInputs`. */
  readonly addDecoder: (context: DecoderContext) => void;
}

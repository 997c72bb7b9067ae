import type { GgufFile } from '../gguf/reader.ts';
import { ModelFileError } from '../model-file-error.ts';
import type { Architecture } from './architectures/architecture.ts';
import { ARCHITECTURES } from './architectures/table.ts';
import type { TensorRole } from './architectures/tensor-names.ts';
import type { DecoderSource } from './decoder-source.ts';
import {
  checkedRotatedDims,
  commonTraits,
  DEFAULT_ROPE_THETA,
  MAX_CONTEXT_TOKENS,
  MAX_LAYERS,
  MAX_SIZE,
  type RopeSettings,
  readHeadSizes,
} from './hyperparameters.ts';
import { Settings, shown } from './settings.ts';

/** Throws ModelFileError when a value is missing, absurd, or asks for something that the graph cannot do. */
export function ggufSource(gguf: GgufFile): DecoderSource {
  const { path, metadata, tensors } = gguf;
  const name = metadata.get('general.architecture');
  const architecture = typeof name === 'string' ? ARCHITECTURES.get(name) : undefined;
  if (architecture === undefined)
    throw new ModelFileError(
      path,
      `the architecture ${shown(name)} is not supported (${[...ARCHITECTURES.keys()].join(', ')} are)`,
    );
  const settings = new Settings(path, `${architecture.name}.`, (key) => oneForAllLayers(metadata.get(key)));
  const sizes = readHeadSizes(settings, {
    hiddenSize: 'embedding_length',
    heads: 'attention.head_count',
    kvHeads: 'attention.head_count_kv',
    headDim: 'attention.key_length',
  });
  settings.demand('attention.value_length', sizes.headDim);
  settings.demand('expert_count', 0);
  const names = architecture.names.gguf;
  const has = (role: TensorRole) => tensors.has(`${names[role]}.weight`);
  const contextTokens = maxContextTokens(settings);
  return {
    path,
    architecture,
    tensors,
    names,
    interleavedRope: architecture.ggufInterleavesRope,
    parameters: {
      ...sizes,
      layers: settings.integer('block_count', MAX_LAYERS),
      feedForwardSize: settings.integer('feed_forward_length', MAX_SIZE),
      vocabSize: tensors.get(`${names.embedding}.weight`)?.dims[1] ?? 0,
      // Beyond that length the rotary frequencies would be others, from the first token on.
      maxContextTokens: has('longRopeFactors')
        ? settings.integer('rope.scaling.original_context_length', contextTokens, contextTokens)
        : contextTokens,
      rope: ropeSettings(settings, architecture, sizes.headDim),
      normEpsilon: settings.positive('attention.layer_norm_rms_epsilon'),
      tiedHead: !has('head'),
      ...commonTraits(sizes),
      ...architecture.traits?.gguf(settings, sizes),
    },
  };
}

/** Attention over a window is whole attention as long as the context fits into it; a window of 0 is none. */
function maxContextTokens(settings: Settings): number {
  const contextTokens = settings.integer('context_length', MAX_CONTEXT_TOKENS);
  const window = settings.value('attention.sliding_window') === 0 ? contextTokens : undefined;
  return Math.min(
    contextTokens,
    window ?? settings.integer('attention.sliding_window', MAX_CONTEXT_TOKENS, contextTokens),
  );
}

/** Some converters write a number for each layer. Those that differ stay an array, which nothing here takes for a number. */
function oneForAllLayers(value: unknown): unknown {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return value;
  const [first, ...others] = value as ArrayLike<unknown> & Iterable<unknown>;
  return others.every((each) => each === first) ? first : value;
}

function ropeSettings(settings: Settings, architecture: Architecture, headDim: number): RopeSettings {
  const theta = settings.positive('rope.freq_base', DEFAULT_ROPE_THETA);
  const kind = settings.value('rope.scaling.type') ?? 'none';
  if (kind !== 'none' && kind !== 'linear')
    throw settings.error(`the rotary scaling ${shown(kind)} is not supported (none and linear are)`);
  const positionScale = kind === 'none' ? 1 : settings.positive('rope.scaling.factor', 1);
  const dims = settings.integer('rope.dimension_count', headDim, headDim);
  if (architecture.ggufInterleavesRope) settings.demand('rope.dimension_count', headDim);
  return {
    theta,
    dims: checkedRotatedDims(settings, headDim, dims),
    positionScale,
    frequencyFactors: undefined,
    amplitude: settings.positive('rope.scaling.attn_factor', 1),
  };
}

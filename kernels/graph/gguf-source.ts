import type { GgufFile } from '../gguf/reader.ts';
import { ModelFileError } from '../model-file-error.ts';
import { ARCHITECTURES } from './architectures/table.ts';
import type { DecoderSource } from './decoder-source.ts';
import {
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
  const settings = new Settings(path, `${architecture.name}.`, (key) => metadata.get(key));
  const sizes = readHeadSizes(settings, {
    hiddenSize: 'embedding_length',
    heads: 'attention.head_count',
    kvHeads: 'attention.head_count_kv',
    headDim: 'attention.key_length',
  });
  settings.demand('attention.value_length', sizes.headDim);
  settings.demand('rope.dimension_count', sizes.headDim);
  settings.demand('expert_count', 0);
  const names = architecture.names.gguf;
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
      maxContextTokens: settings.integer('context_length', MAX_CONTEXT_TOKENS),
      rope: ropeSettings(settings),
      normEpsilon: settings.positive('attention.layer_norm_rms_epsilon'),
      tiedHead: !tensors.has(`${names.head}.weight`),
    },
  };
}

function ropeSettings(settings: Settings): RopeSettings {
  const theta = settings.positive('rope.freq_base', DEFAULT_ROPE_THETA);
  const kind = settings.value('rope.scaling.type') ?? 'none';
  if (kind !== 'none' && kind !== 'linear')
    throw settings.error(`the rotary scaling ${shown(kind)} is not supported (none and linear are)`);
  const positionScale = kind === 'none' ? 1 : settings.positive('rope.scaling.factor', 1);
  return { theta, positionScale, frequencyFactors: undefined };
}

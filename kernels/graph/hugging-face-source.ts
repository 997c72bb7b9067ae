import { join } from 'node:path';
import { ModelFileError } from '../model-file-error.ts';
import { readCheckpoint } from '../safetensors/checkpoint.ts';
import { isJsonObject, type JsonObject, readJsonObject } from '../safetensors/json-file.ts';
import type { WeightTensor } from '../weights/weight-tensor.ts';
import { ARCHITECTURES_BY_CLASS } from './architectures/table.ts';
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
import { llama3FrequencyFactors } from './llama3-rope.ts';
import { longRope } from './long-rope.ts';
import { Settings, shown } from './settings.ts';

export const CONFIG_FILE = 'config.json';

const MAX_CONFIG_BYTES = 2 ** 20;

/** Tables that old checkpoints carry along; the graph computes its own. */
const COMPUTED_TABLE = /\.rotary_emb\.inv_freq$/;

/**
 * A decoder in a Hugging Face model directory: `config.json` and safetensors. Throws ModelFileError when a value or a
 * file is missing, absurd, or asks for something that the graph cannot do.
 */
export function huggingFaceSource(directory: string): DecoderSource {
  const path = join(directory, CONFIG_FILE);
  const config = readJsonObject(path, MAX_CONFIG_BYTES);
  if (config === undefined) throw new ModelFileError(directory, `it has no ${CONFIG_FILE}`);
  const architecture = architectureOf(path, config);
  const settings = new Settings(path, '', (key) => config[key]);
  if (settings.value('quantization_config') !== undefined)
    throw settings.error(
      `its weights are quantised (${shown(quantisationMethod(config))}): of safetensors, only F32, F16 and BF16 weights are supported`,
    );
  demandActivation(settings, architecture.activations ?? ['silu']);
  settings.demand('attention_bias', false);
  settings.demand('mlp_bias', false);
  const sizes = readHeadSizes(settings, {
    hiddenSize: 'hidden_size',
    heads: 'num_attention_heads',
    kvHeads: 'num_key_value_heads',
    headDim: 'head_dim',
  });
  const traits = architecture.traits?.safetensors(settings, sizes);
  const names = architecture.names.safetensors;
  const all = readCheckpoint(directory);
  const headName = `${names.head}.weight`;
  const tied = settings.value('tie_word_embeddings') ?? !all.has(headName);
  const tensors = new Map<string, WeightTensor>();
  for (const [name, tensor] of all) {
    // A tied head may be in the file all the same: it is the embedding once more.
    if (!COMPUTED_TABLE.test(name) && !(tied === true && name === headName)) tensors.set(name, tensor);
  }
  return {
    path: directory,
    architecture,
    tensors,
    names,
    interleavedRope: false,
    parameters: {
      ...sizes,
      layers: settings.integer('num_hidden_layers', MAX_LAYERS),
      feedForwardSize: settings.integer('intermediate_size', MAX_SIZE),
      vocabSize: tensors.get(`${names.embedding}.weight`)?.dims[1] ?? 0,
      ...positionSettings(settings, sizes.headDim, traits?.localLayers !== undefined),
      normEpsilon: settings.positive('rms_norm_eps'),
      tiedHead: tied === true,
      ...commonTraits(sizes),
      ...traits,
    },
  };
}

function architectureOf(path: string, { architectures }: JsonObject) {
  const name: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const architecture = typeof name === 'string' ? ARCHITECTURES_BY_CLASS.get(name) : undefined;
  if (architecture !== undefined) return architecture;
  const supported = [...ARCHITECTURES_BY_CLASS.keys()].join(', ');
  throw new ModelFileError(path, `the architecture ${shown(name)} is not supported (${supported} are)`);
}

function quantisationMethod({ quantization_config: quantisation }: JsonObject): unknown {
  return isJsonObject(quantisation) ? quantisation.quant_method : undefined;
}

/** Attention over a window is whole attention as long as the context fits into it. */
function maxContextTokens(settings: Settings): number {
  const positions = settings.integer('max_position_embeddings', MAX_CONTEXT_TOKENS);
  if (settings.value('use_sliding_window') === false) return positions;
  return Math.min(positions, settings.integer('sliding_window', MAX_CONTEXT_TOKENS, positions));
}

function demandActivation(settings: Settings, known: readonly string[]): void {
  const key = settings.value('hidden_activation') === undefined ? 'hidden_act' : 'hidden_activation';
  const name = settings.value(key) ?? known[0];
  if (!known.some((each) => each === name))
    throw settings.error(`${key} is ${shown(name)}: only ${known.join(', ')} is supported here`);
}

/**
 * transformers 5 keeps everything in `rope_parameters`; before, `rope_theta` was beside `rope_scaling`. `byLayer`: those that differ by
 * kind of layer are known; here it is about those that see everything.
 */
function positionSettings(
  settings: Settings,
  headDim: number,
  byLayer: boolean,
): { readonly rope: RopeSettings; readonly maxContextTokens: number } {
  const rope = ropeOf(settings, byLayer);
  const kind = rope.value('rope_type') ?? rope.value('type') ?? 'default';
  const theta = rope.positive('rope_theta', settings.positive('rope_theta', DEFAULT_ROPE_THETA));
  const share = rope.positive('partial_rotary_factor', settings.positive('partial_rotary_factor', 1));
  const dims = checkedRotatedDims(settings, headDim, Math.trunc(headDim * share));
  const plain = { theta, dims, positionScale: 1, frequencyFactors: undefined, amplitude: 1 };
  const contextTokens = maxContextTokens(settings);
  const withRope = (changes: Partial<RopeSettings>, limit = contextTokens) => ({
    rope: { ...plain, ...changes },
    maxContextTokens: Math.min(contextTokens, limit),
  });
  switch (kind) {
    case 'default':
      return withRope({});
    case 'linear':
      return withRope({ positionScale: rope.positive('factor') });
    case 'llama3':
      return withRope({ frequencyFactors: llama3FrequencyFactors(rope, theta, dims) });
    case 'longrope': {
      const positions = settings.integer('max_position_embeddings', MAX_CONTEXT_TOKENS);
      const { trainedTokens, ...changes } = longRope(settings, rope, { dims, positions });
      return withRope(changes, trainedTokens);
    }
    default:
      throw settings.error(
        `the rotary scaling ${shown(kind)} is not supported (default, linear, llama3 and longrope are)`,
      );
  }
}

function ropeOf(settings: Settings, byLayer: boolean): Settings {
  const key = settings.value('rope_parameters') === undefined ? 'rope_scaling' : 'rope_parameters';
  const given = settings.value(key) ?? {};
  const rope = settings.within(key);
  if (byLayer && rope.value('full_attention') !== undefined) return rope.within('full_attention');
  if (!isJsonObject(given) || Object.values(given).some(isJsonObject))
    throw settings.error('its rotary embeddings are not the same in all layers, which is not supported');
  return rope;
}

import {
  type HeadSizes,
  type LocalLayers,
  MAX_CONTEXT_TOKENS,
  type RopeSettings,
} from '../hyperparameters.ts';
import type { Settings } from '../settings.ts';
import { GGUF_NAMES, TRANSFORMERS_NAMES } from './tensor-names.ts';

// What the models of the Gemma family have in common.

/** What config.json calls the activation; early files say `gelu` and mean its approximation by tanh, too. */
export const GEMMA_ACTIVATIONS: readonly string[] = ['gelu_pytorch_tanh', 'gelu'];

/** Embeddings are as long as activations. llama.cpp's converter has added the 1 to norms. */
export const gemmaTraits = {
  gguf: ({ hiddenSize }: HeadSizes) => ({ embeddingScale: Math.sqrt(hiddenSize) }),
  safetensors: ({ hiddenSize }: HeadSizes) => ({ embeddingScale: Math.sqrt(hiddenSize), normOffset: 1 }),
};

/** Gemma 2 and 3 have norms before and behind. */
export const SANDWICH_NAMES = {
  gguf: {
    ...GGUF_NAMES,
    attentionPostNorm: 'blk.{layer}.post_attention_norm',
    feedForwardPostNorm: 'blk.{layer}.post_ffw_norm',
  },
  safetensors: {
    ...TRANSFORMERS_NAMES,
    attentionPostNorm: 'model.layers.{layer}.post_attention_layernorm',
    feedForwardNorm: 'model.layers.{layer}.pre_feedforward_layernorm',
    feedForwardPostNorm: 'model.layers.{layer}.post_feedforward_layernorm',
  },
};

interface LocalDefaults {
  /** Every so many layers one sees everything. */
  readonly interval: number;
  /** Undefined: without the key there is no window. */
  readonly windowTokens?: number;
  readonly rope?: RopeSettings;
}

/** The context is not bounded by the window, as it is where every layer has one. */
export function ggufLocalLayers(settings: Settings, defaults: LocalDefaults) {
  const pattern = settings.value('attention.sliding_window_pattern');
  const listed = Array.isArray(pattern)
    ? (pattern as readonly unknown[]).map((each) => each === true)
    : undefined;
  const interval = listed ? 1 : settings.integer('attention.sliding_window_pattern', 1024, defaults.interval);
  return {
    maxContextTokens: settings.integer('context_length', MAX_CONTEXT_TOKENS),
    localLayers: localLayers(settings, 'attention.sliding_window', listed, { ...defaults, interval }),
  };
}

export function safetensorsLocalLayers(settings: Settings, defaults: LocalDefaults) {
  const types = settings.value('layer_types');
  const listed = Array.isArray(types) ? types.map((type) => type === 'sliding_attention') : undefined;
  const interval = settings.integer('sliding_window_pattern', 1024, defaults.interval);
  settings.demand('use_bidirectional_attention', false);
  return {
    maxContextTokens: settings.integer('max_position_embeddings', MAX_CONTEXT_TOKENS),
    localLayers: localLayers(settings, 'sliding_window', listed, { ...defaults, interval }),
  };
}

function localLayers(
  settings: Settings,
  windowKey: string,
  listed: readonly boolean[] | undefined,
  { interval, windowTokens, rope }: LocalDefaults,
): LocalLayers | undefined {
  if ((settings.value(windowKey) ?? windowTokens) === undefined) return undefined;
  return {
    includes: (layer) => (listed === undefined ? (layer + 1) % interval !== 0 : listed[layer] === true),
    windowTokens: settings.integer(windowKey, MAX_CONTEXT_TOKENS, windowTokens),
    rope,
  };
}

/** `undefined` where the key is missing. */
export function limitOf(settings: Settings, key: string): number | undefined {
  return settings.value(key) === undefined ? undefined : settings.positive(key);
}

/** GGUF files do not say it. Source: google/gemma_pytorch, `gemma/config.py`: the largest models divide by another size. */
export function ggufAttentionScale(settings: Settings, sizes: HeadSizes, layersOfLargest: number): number {
  const isLargest = settings.value('block_count') === layersOfLargest;
  return 1 / Math.sqrt(isLargest ? sizes.hiddenSize / sizes.heads : sizes.headDim);
}

import { addPreNormDecoder } from '../pre-norm-decoder.ts';
import type { Architecture } from './architecture.ts';
import {
  GEMMA_ACTIVATIONS,
  gemmaTraits,
  ggufAttentionScale,
  ggufLocalLayers,
  limitOf,
  SANDWICH_NAMES,
  safetensorsLocalLayers,
} from './gemma-family.ts';

/** Every other layer sees everything. */
const LOCAL = { interval: 2, windowTokens: 4096 };
const LAYERS_OF_27B = 46;

/** Gemma 2 (Gemma Team, Gemma 2, 2024): attention and logits are softly limited. */
export const gemma2: Architecture = {
  name: 'gemma2',
  classes: ['Gemma2ForCausalLM'],
  names: SANDWICH_NAMES,
  ggufInterleavesRope: false,
  activations: GEMMA_ACTIVATIONS,
  traits: {
    gguf: (settings, sizes) => ({
      ...gemmaTraits.gguf(sizes),
      ...ggufLocalLayers(settings, LOCAL),
      attentionScale: ggufAttentionScale(settings, sizes, LAYERS_OF_27B),
      attentionLimit: settings.positive('attn_logit_softcapping', 50),
      logitsLimit: settings.positive('final_logit_softcapping', 30),
    }),
    safetensors: (settings, sizes) => ({
      ...gemmaTraits.safetensors(sizes),
      ...safetensorsLocalLayers(settings, LOCAL),
      attentionScale: 1 / Math.sqrt(settings.positive('query_pre_attn_scalar', 256)),
      attentionLimit: limitOf(settings, 'attn_logit_softcapping'),
      logitsLimit: limitOf(settings, 'final_logit_softcapping'),
    }),
  },
  addDecoder: (context) =>
    addPreNormDecoder(context, { qkvBias: false, qkNorm: 'none', activation: 'gelu-tanh', postNorms: true }),
};

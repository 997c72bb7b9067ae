import { addPreNormDecoder } from '../pre-norm-decoder.ts';
import type { Architecture } from './architecture.ts';
import { GEMMA_ACTIVATIONS, gemmaTraits } from './gemma-family.ts';
import { GGUF_NAMES, TRANSFORMERS_NAMES } from './tensor-names.ts';

/** Gemma 1. */
export const gemma: Architecture = {
  name: 'gemma',
  classes: ['GemmaForCausalLM'],
  names: { gguf: GGUF_NAMES, safetensors: TRANSFORMERS_NAMES },
  ggufInterleavesRope: false,
  activations: GEMMA_ACTIVATIONS,
  traits: {
    gguf: (_, sizes) => gemmaTraits.gguf(sizes),
    safetensors: (_, sizes) => gemmaTraits.safetensors(sizes),
  },
  addDecoder: (context) =>
    addPreNormDecoder(context, { qkvBias: false, qkNorm: 'none', activation: 'gelu-tanh' }),
};

import { addPreNormDecoder } from '../pre-norm-decoder.ts';
import type { Architecture } from './architecture.ts';
import { GGUF_NAMES, TRANSFORMERS_NAMES } from './tensor-names.ts';

/** Llama 2 and 3, SmolLM2, Mistral and others of that form. */
export const llama: Architecture = {
  name: 'llama',
  classes: ['LlamaForCausalLM', 'MistralForCausalLM'],
  names: { gguf: GGUF_NAMES, safetensors: TRANSFORMERS_NAMES },
  ggufInterleavesRope: true,
  addDecoder: (context) => addPreNormDecoder(context, { qkvBias: false, qkNorm: 'none' }),
};

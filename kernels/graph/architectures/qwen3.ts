import { addPreNormDecoder } from '../pre-norm-decoder.ts';
import type { Architecture } from './architecture.ts';
import { GGUF_NAMES, TRANSFORMERS_NAMES } from './tensor-names.ts';

/** Qwen 3, dense. */
export const qwen3: Architecture = {
  name: 'qwen3',
  classes: ['Qwen3ForCausalLM'],
  names: { gguf: GGUF_NAMES, safetensors: TRANSFORMERS_NAMES },
  ggufInterleavesRope: false,
  addDecoder: (context) => addPreNormDecoder(context, { qkvBias: false, qkNorm: 'each-head' }),
};

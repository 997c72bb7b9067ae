import { addPreNormDecoder } from '../pre-norm-decoder.ts';
import type { Architecture } from './architecture.ts';
import { GGUF_NAMES, TRANSFORMERS_NAMES } from './tensor-names.ts';

/** Qwen 1.5, 2 and 2.5. */
export const qwen2: Architecture = {
  name: 'qwen2',
  classes: ['Qwen2ForCausalLM'],
  names: { gguf: GGUF_NAMES, safetensors: TRANSFORMERS_NAMES },
  ggufInterleavesRope: false,
  addDecoder: (context) => addPreNormDecoder(context, { qkvBias: true, qkNorm: 'none' }),
};

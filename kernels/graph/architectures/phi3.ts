import { addPreNormDecoder } from '../pre-norm-decoder.ts';
import type { Architecture } from './architecture.ts';
import { GGUF_NAMES, TRANSFORMERS_NAMES } from './tensor-names.ts';

/** Phi 3, 3.5 and 4 (mini and medium): Llama's form with query, key and value in one matrix, and gate and up in another. */
export const phi3: Architecture = {
  name: 'phi3',
  classes: ['Phi3ForCausalLM'],
  names: {
    gguf: {
      ...GGUF_NAMES,
      query: 'blk.{layer}.attn_qkv',
      key: 'blk.{layer}.attn_qkv',
      value: 'blk.{layer}.attn_qkv',
      gate: 'blk.{layer}.ffn_up',
      ropeFactors: 'rope_factors_short',
      longRopeFactors: 'rope_factors_long',
    },
    safetensors: {
      ...TRANSFORMERS_NAMES,
      query: 'model.layers.{layer}.self_attn.qkv_proj',
      key: 'model.layers.{layer}.self_attn.qkv_proj',
      value: 'model.layers.{layer}.self_attn.qkv_proj',
      gate: 'model.layers.{layer}.mlp.gate_up_proj',
      up: 'model.layers.{layer}.mlp.gate_up_proj',
    },
  },
  ggufInterleavesRope: false,
  addDecoder: (context) => addPreNormDecoder(context, { qkvBias: false, qkNorm: 'none' }),
};

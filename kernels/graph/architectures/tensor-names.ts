/**
 * What a tensor is for. Those of a layer have its number for `{layer}` in their names. Several that have one name are parts
 * of one matrix, one below the other: query, key and value, or gate and up.
 */
export type TensorRole =
  | 'embedding'
  | 'outputNorm'
  | 'head'
  | 'attentionNorm'
  | 'query'
  | 'key'
  | 'value'
  | 'queryNorm'
  | 'keyNorm'
  | 'attentionOutput'
  /** Norms of what attention and feed-forward give, beside those of what they take. */
  | 'attentionPostNorm'
  | 'feedForwardPostNorm'
  | 'feedForwardNorm'
  | 'gate'
  | 'up'
  | 'down'
  /** Divisors of the rotary frequencies. */
  | 'ropeFactors'
  /** Others, for contexts longer than are served. */
  | 'longRopeFactors';

/** Names in one kind of file, without `.weight` and `.bias`. Roles that such files never have are left out. */
export type TensorNames = Readonly<Partial<Record<TensorRole, string>>>;

/** Of llama.cpp's converter (gguf-py `tensor_mapping.py`). */
export const GGUF_NAMES: TensorNames = {
  embedding: 'token_embd',
  outputNorm: 'output_norm',
  head: 'output',
  attentionNorm: 'blk.{layer}.attn_norm',
  query: 'blk.{layer}.attn_q',
  key: 'blk.{layer}.attn_k',
  value: 'blk.{layer}.attn_v',
  queryNorm: 'blk.{layer}.attn_q_norm',
  keyNorm: 'blk.{layer}.attn_k_norm',
  attentionOutput: 'blk.{layer}.attn_output',
  feedForwardNorm: 'blk.{layer}.ffn_norm',
  gate: 'blk.{layer}.ffn_gate',
  up: 'blk.{layer}.ffn_up',
  down: 'blk.{layer}.ffn_down',
  ropeFactors: 'rope_freqs',
};

/** Of most decoders in Hugging Face's transformers (`modeling_llama.py` and those made after it). */
export const TRANSFORMERS_NAMES: TensorNames = {
  embedding: 'model.embed_tokens',
  outputNorm: 'model.norm',
  head: 'lm_head',
  attentionNorm: 'model.layers.{layer}.input_layernorm',
  query: 'model.layers.{layer}.self_attn.q_proj',
  key: 'model.layers.{layer}.self_attn.k_proj',
  value: 'model.layers.{layer}.self_attn.v_proj',
  queryNorm: 'model.layers.{layer}.self_attn.q_norm',
  keyNorm: 'model.layers.{layer}.self_attn.k_norm',
  attentionOutput: 'model.layers.{layer}.self_attn.o_proj',
  feedForwardNorm: 'model.layers.{layer}.post_attention_layernorm',
  gate: 'model.layers.{layer}.mlp.gate_proj',
  up: 'model.layers.{layer}.mlp.up_proj',
  down: 'model.layers.{layer}.mlp.down_proj',
};

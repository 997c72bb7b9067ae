import { addAttention, addEmbedding, addFeedForward, addHead, addNorm } from '../decoder-blocks.ts';
import type { DecoderContext } from '../decoder-context.ts';
import type { Architecture } from './architecture.ts';
import { GGUF_NAMES, TRANSFORMERS_NAMES } from './tensor-names.ts';

/** OLMo 2, dense. Its norms stand behind attention and feed-forward (OLMo Team, 2 OLMo 2 Furious, 2024). */
export const olmo2: Architecture = {
  name: 'olmo2',
  classes: ['Olmo2ForCausalLM'],
  names: {
    gguf: {
      ...GGUF_NAMES,
      attentionNorm: 'blk.{layer}.post_attention_norm',
      feedForwardNorm: 'blk.{layer}.post_ffw_norm',
    },
    safetensors: {
      ...TRANSFORMERS_NAMES,
      attentionNorm: 'model.layers.{layer}.post_attention_layernorm',
      feedForwardNorm: 'model.layers.{layer}.post_feedforward_layernorm',
    },
  },
  ggufInterleavesRope: false,
  addDecoder: addPostNormDecoder,
};

/** residual + norm(attention(residual)), then residual + norm(feed-forward(residual)). */
function addPostNormDecoder(context: DecoderContext): void {
  const { graph, parameters } = context;
  let residual = addEmbedding(context);
  for (let layer = 0; layer < parameters.layers; layer++) {
    const attended = addAttention(context, residual, layer, { qkvBias: false, qkNorm: 'together' });
    const attention = addNorm(context, attended, { role: 'attentionNorm', layer });
    residual = graph.node('Add', [residual, attention], [`layer.${layer}.middle`]);
    const fed = addFeedForward(context, residual, layer);
    const feedForward = addNorm(context, fed, { role: 'feedForwardNorm', layer });
    residual = graph.node('Add', [residual, feedForward], [`layer.${layer}.residual`]);
  }
  addHead(context, residual);
}

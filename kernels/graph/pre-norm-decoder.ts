import {
  type AttentionTraits,
  addAttention,
  addEmbedding,
  addFeedForward,
  addHead,
  addNorm,
  addScale,
  addSkipNorm,
} from './decoder-blocks.ts';
import type { DecoderContext } from './decoder-context.ts';

/**
 * The form that most decoders have today: in each layer attention and a gated feed-forward, each behind an RMS norm and
 * beside a residual (Touvron et al., LLaMA, 2023).
 */
export function addPreNormDecoder(context: DecoderContext, traits: AttentionTraits): void {
  const { graph, parameters } = context;
  const { layers, residualScale } = parameters;
  let residual = addEmbedding(context);
  let normed = addNorm(context, residual, { role: 'attentionNorm', layer: 0 });
  for (let layer = 0; layer < layers; layer++) {
    const attended = addScale(graph, addAttention(context, normed, layer, traits), residualScale);
    const middle = addSkipNorm(context, residual, attended, { role: 'feedForwardNorm', layer });
    const fed = addScale(graph, addFeedForward(context, middle.normed, layer), residualScale);
    if (layer + 1 < layers) {
      const next = addSkipNorm(context, middle.residual, fed, { role: 'attentionNorm', layer: layer + 1 });
      normed = next.normed;
      residual = next.residual;
    } else {
      residual = graph.node('Add', [middle.residual, fed], ['residual.last']);
    }
  }
  addHead(context, residual);
}

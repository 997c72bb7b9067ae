import {
  type Activation,
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

interface PreNormTraits extends AttentionTraits {
  /** `silu` unless it is given. */
  readonly activation?: Activation;
  /** What attention and feed-forward give is normalised, too, before it is added. */
  readonly postNorms?: boolean;
}

/**
 * The form that most decoders have today: in each layer attention and a gated feed-forward, each behind an RMS norm and
 * beside a residual (Touvron et al., LLaMA, 2023).
 */
export function addPreNormDecoder(context: DecoderContext, traits: PreNormTraits): void {
  const { graph, parameters } = context;
  const { layers, residualScale } = parameters;
  const behind = (delta: string, role: 'attentionPostNorm' | 'feedForwardPostNorm', layer: number) =>
    addScale(graph, traits.postNorms ? addNorm(context, delta, { role, layer }) : delta, residualScale);
  let residual = addEmbedding(context);
  let normed = addNorm(context, residual, { role: 'attentionNorm', layer: 0 });
  for (let layer = 0; layer < layers; layer++) {
    const attended = behind(addAttention(context, normed, layer, traits), 'attentionPostNorm', layer);
    const middle = addSkipNorm(context, residual, attended, { role: 'feedForwardNorm', layer });
    const product = addFeedForward(context, middle.normed, layer, traits.activation);
    const fed = behind(product, 'feedForwardPostNorm', layer);
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

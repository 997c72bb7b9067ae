import { addPreNormDecoder } from '../pre-norm-decoder.ts';
import type { Architecture } from './architecture.ts';
import { GGUF_NAMES, TRANSFORMERS_NAMES } from './tensor-names.ts';

/** Granite 3 and 4 of IBM, dense and without state spaces: Llama's form with factors of its own. */
export const granite: Architecture = {
  name: 'granite',
  classes: ['GraniteForCausalLM'],
  names: { gguf: GGUF_NAMES, safetensors: TRANSFORMERS_NAMES },
  ggufInterleavesRope: true,
  traits: {
    gguf: (settings) => {
      // False would mean: not at all.
      settings.demand('rope.scaling.finetuned', true);
      return {
        embeddingScale: settings.positive('embedding_scale', 1),
        residualScale: settings.positive('residual_scale', 1),
        attentionScale: settings.positive('attention.scale'),
        logitsDivisor: settings.positive('logit_scale'),
      };
    },
    safetensors: (settings) => ({
      embeddingScale: settings.positive('embedding_multiplier', 1),
      residualScale: settings.positive('residual_multiplier', 1),
      attentionScale: settings.positive('attention_multiplier', 1),
      logitsDivisor: settings.positive('logits_scaling', 1),
    }),
  },
  addDecoder: (context) => addPreNormDecoder(context, { qkvBias: false, qkNorm: 'none' }),
};

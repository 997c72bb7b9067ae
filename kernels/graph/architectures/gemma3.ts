import type { HeadSizes, RopeSettings } from '../hyperparameters.ts';
import { addPreNormDecoder } from '../pre-norm-decoder.ts';
import type { Settings } from '../settings.ts';
import type { Architecture } from './architecture.ts';
import {
  GEMMA_ACTIVATIONS,
  gemmaTraits,
  ggufAttentionScale,
  ggufLocalLayers,
  limitOf,
  SANDWICH_NAMES,
  safetensorsLocalLayers,
} from './gemma-family.ts';

/** Five layers see a window, and rotate by frequencies of their own; the sixth sees everything. */
const INTERVAL = 6;
const LOCAL_THETA = 10_000;
const LAYERS_OF_27B = 62;

/** Gemma 3 (Gemma Team, Gemma 3 Technical Report, 2025), what reads and writes text. */
export const gemma3: Architecture = {
  name: 'gemma3',
  classes: ['Gemma3ForCausalLM'],
  names: SANDWICH_NAMES,
  ggufInterleavesRope: false,
  activations: GEMMA_ACTIVATIONS,
  traits: {
    gguf: (settings, sizes) => ({
      ...gemmaTraits.gguf(sizes),
      ...ggufLocalLayers(settings, {
        interval: INTERVAL,
        rope: localRope(sizes, settings.positive('rope.freq_base_swa', LOCAL_THETA)),
      }),
      attentionScale: ggufAttentionScale(settings, sizes, LAYERS_OF_27B),
      logitsLimit: limitOf(settings, 'final_logit_softcapping'),
    }),
    safetensors: (settings, sizes) => ({
      ...gemmaTraits.safetensors(sizes),
      ...safetensorsLocalLayers(settings, {
        interval: INTERVAL,
        rope: localRope(sizes, localTheta(settings)),
      }),
      attentionScale: 1 / Math.sqrt(settings.positive('query_pre_attn_scalar', 256)),
      attentionLimit: limitOf(settings, 'attn_logit_softcapping'),
      logitsLimit: limitOf(settings, 'final_logit_softcapping'),
    }),
  },
  addDecoder: (context) =>
    addPreNormDecoder(context, {
      qkvBias: false,
      qkNorm: 'each-head',
      activation: 'gelu-tanh',
      postNorms: true,
    }),
};

/** transformers 5 keeps it in `rope_parameters`, by kind of layer. */
function localTheta(settings: Settings): number {
  const rope = settings.within('rope_parameters').within('sliding_attention');
  rope.demand('rope_type', 'default');
  return rope.positive('rope_theta', settings.positive('rope_local_base_freq', LOCAL_THETA));
}

function localRope({ headDim }: HeadSizes, theta: number): RopeSettings {
  return { theta, dims: headDim, positionScale: 1, frequencyFactors: undefined, amplitude: 1 };
}

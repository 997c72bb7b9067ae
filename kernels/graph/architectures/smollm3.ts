import { addPreNormDecoder } from '../pre-norm-decoder.ts';
import type { Settings } from '../settings.ts';
import type { Architecture } from './architecture.ts';
import { GGUF_NAMES, TRANSFORMERS_NAMES } from './tensor-names.ts';

/** In every fourth layer nothing is rotated; GGUF files do not say which. */
const LAYERS_TO_ONE_WITHOUT = 4;

/** SmolLM3: Llama's form, but for layers that know no positions (NoPE). */
export const smollm3: Architecture = {
  name: 'smollm3',
  classes: ['SmolLM3ForCausalLM'],
  names: { gguf: GGUF_NAMES, safetensors: TRANSFORMERS_NAMES },
  ggufInterleavesRope: true,
  traits: {
    gguf: () => ({ rotates: (layer) => rotatesByInterval(layer, LAYERS_TO_ONE_WITHOUT) }),
    safetensors: (settings) => ({ rotates: rotatesByConfig(settings) }),
  },
  addDecoder: (context) => addPreNormDecoder(context, { qkvBias: false, qkNorm: 'none' }),
};

function rotatesByConfig(settings: Settings): (layer: number) => boolean {
  const byLayer = settings.value('no_rope_layers');
  // The name says the opposite of what is meant: 1 for layers with, 0 for layers without.
  if (Array.isArray(byLayer)) return (layer) => byLayer[layer] !== 0;
  const interval = settings.integer('no_rope_layer_interval', 1024, LAYERS_TO_ONE_WITHOUT);
  return (layer) => rotatesByInterval(layer, interval);
}

const rotatesByInterval = (layer: number, interval: number) => (layer + 1) % interval !== 0;

import type { Architecture } from './architecture.ts';

/** Llama 2 and 3, SmolLM2 and others of that form. */
export const llama: Architecture = {
  name: 'llama',
  interleavedRope: true,
  qkvBias: false,
  qkNorm: false,
};

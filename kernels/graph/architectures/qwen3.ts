import type { Architecture } from './architecture.ts';

/** Qwen 3, dense. */
export const qwen3: Architecture = {
  name: 'qwen3',
  interleavedRope: false,
  qkvBias: false,
  qkNorm: true,
};

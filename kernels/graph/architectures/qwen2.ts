import type { Architecture } from './architecture.ts';

/** Qwen 1.5, 2 and 2.5. */
export const qwen2: Architecture = {
  name: 'qwen2',
  interleavedRope: false,
  qkvBias: true,
  qkNorm: false,
};

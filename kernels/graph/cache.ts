import type { DecoderShape } from '../decoder-shape.ts';

export interface CachedDecoderGraph {
  readonly graphPath: string;
  readonly shape: DecoderShape;
  /** Tensors whose quantisation was changed on the way to 8 bit, such as `Q4_K`: empty when the weights are as in the file. */
  readonly requantised: readonly string[];
}

/**
 * The 8-bit graph of a GGUF file, built on the first call (about a second per 100 MB) and again when the file or the
 * builder changed. Synchronous. Throws ModelFileError when the file is damaged or not supported.
 */
export function ensureDecoderGraph(_ggufPath: string, _cacheDir: string): CachedDecoderGraph {
  throw new Error('not built yet');
}

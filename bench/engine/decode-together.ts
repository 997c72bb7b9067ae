import type { Decoder } from '../../kernels/decoder.ts';
import { perSecond, someTokens } from './figures.ts';

export interface Decoding {
  readonly sequences: number;
  /** Tokens of each before the first step. */
  readonly contextTokens: number;
  readonly steps: number;
}

/** Tokens per second of all sequences together; no token is drawn. */
export function decodeTogether(decoder: Decoder, { sequences, contextTokens, steps }: Decoding): number {
  const next = someTokens(sequences, 3);
  for (let slot = 0; slot < sequences; slot++)
    decoder.prefill(slot, someTokens(contextTokens, slot), 0, false);
  const startedAtMs = performance.now();
  for (let step = 0; step < steps; step++)
    decoder.decode(0, sequences, next, new Array(sequences).fill(contextTokens + step));
  return perSecond(sequences * steps, startedAtMs);
}

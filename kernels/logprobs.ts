import { rowKernels } from './simd/row-kernels.ts';
import { topTokens } from './top-tokens.ts';

export interface TokenLogprobs {
  /** Of the chosen token, natural logarithm. */
  readonly logprob: number;
  /** The most probable tokens, best first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

/** Log-probabilities under the raw logits [vocabSize], before temperature and penalties. */
export function tokenLogprobs(logits: Float32Array, token: number, topCount: number): TokenLogprobs {
  const top = topTokens(logits, Math.max(1, topCount));
  const max = top.logits[0] ?? 0;
  const kernels = rowKernels(logits.length);
  kernels.load(logits);
  const logNormaliser = max + Math.log(kernels.exponentials(max, 1));
  return {
    logprob: logits[token]! - logNormaliser,
    top: Array.from(top.ids.subarray(0, topCount), (id, i) => ({
      token: id,
      logprob: top.logits[i]! - logNormaliser,
    })),
  };
}

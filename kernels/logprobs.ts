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
  const kernels = rowKernels(logits.length);
  kernels.load(logits);
  const max = kernels.max();
  const logNormaliser = max + Math.log(kernels.exponentials(max, 1));
  return {
    logprob: logits[token]! - logNormaliser,
    top: topTokens(kernels, topCount).map(({ id, logit }) => ({
      token: id,
      logprob: logit - logNormaliser,
    })),
  };
}

import { exponentials } from './exponentials.ts';
import { topTokens } from './top-tokens.ts';

export interface TokenLogprobs {
  /** Of the chosen token, natural logarithm. */
  readonly logprob: number;
  /** The most probable tokens, best first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

/** Reused from row to row. */
let weights = new Float32Array(0);

/** Log-probabilities under the raw logits [vocabSize], before temperature and penalties. */
export function tokenLogprobs(logits: Float32Array, token: number, topCount: number): TokenLogprobs {
  if (weights.length !== logits.length) weights = new Float32Array(logits.length);
  const top = topTokens(logits, Math.max(1, topCount));
  const max = top.logits[0] ?? 0;
  const logNormaliser = max + Math.log(exponentials(logits, max, 1, weights));
  return {
    logprob: logits[token]! - logNormaliser,
    top: Array.from(top.ids.subarray(0, topCount), (id, i) => ({
      token: id,
      logprob: top.logits[i]! - logNormaliser,
    })),
  };
}

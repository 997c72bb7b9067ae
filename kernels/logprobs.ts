export interface TokenLogprobs {
  /** Of the chosen token, natural logarithm. */
  readonly logprob: number;
  /** The most probable tokens, best first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

/** Log-probabilities under the raw logits [vocabSize], before temperature and penalties. `topCount` ≤ 20. */
export function tokenLogprobs(_logits: Float32Array, _token: number, _topCount: number): TokenLogprobs {
  throw new Error('not built yet');
}

/** What was learnt about which questions a strong model answers better: a linear function of their embeddings. */
export interface LearntHead {
  /** In every decision. */
  readonly version: string;
  /** The encoder of the catalogue whose embeddings these weights are for. */
  readonly encoder: string;
  /** Of bias and weights, which are whole numbers. */
  readonly unit: number;
  readonly bias: number;
  readonly weights: readonly number[];
  /** The scores that divide the questions learnt from into parts of equal size, ascending. */
  readonly quantiles: readonly number[];
}

/** How many tokens of a question the encoder is shown: as many as when this was learnt. */
export const TRUNCATE_TOKENS = 256;

/** By how much a strong model is expected to do better, in marks between 0 and 1. */
export function rawScore({ unit, bias, weights }: LearntHead, vector: Float32Array): number {
  let score = bias;
  for (let i = 0; i < weights.length; i += 1) score += weights[i]! * vector[i]!;
  return unit * score;
}

/** The share of the questions learnt from that are easier: with a threshold of 0.4, 40 of 100 such questions are easy. */
export function difficultyOf({ quantiles }: LearntHead, score: number): number {
  const above = quantiles.findIndex((quantile) => score < quantile);
  if (above <= 0) return above === 0 ? 0 : 1;
  const [from, to] = [quantiles[above - 1]!, quantiles[above]!];
  return (above - 1 + (score - from) / (to - from)) / (quantiles.length - 1);
}

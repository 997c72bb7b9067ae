import { describe, expect, it } from 'vitest';
import { tokenLogprobs } from './logprobs.ts';

describe('tokenLogprobs', () => {
  it('normalises the raw logits', () => {
    const { logprob, top } = tokenLogprobs(Float32Array.from([1, 3, 2, 0], Math.log), 0, 4);
    expect(logprob).toBeCloseTo(Math.log(1 / 6), 6);
    expect(top.map(({ token }) => token)).toEqual([1, 2, 0]);
    expect(top[0]!.logprob).toBeCloseTo(Math.log(1 / 2), 6);
  });

  it('has probabilities that sum to one over a whole vocabulary', () => {
    const logits = Float32Array.from({ length: 20_000 }, (_, id) => ((id * 7919) % 1000) / 40 - 10);
    const exact = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    for (const token of [0, 999, 19_999])
      expect(tokenLogprobs(logits, token, 0).logprob).toBeCloseTo(logits[token]! - exact, 6);
  });

  it('gives the best tokens first, the lower id of equals first, as many as asked', () => {
    const logits = Float32Array.of(0, 2, 1, 2, 3);
    expect(tokenLogprobs(logits, 0, 3).top.map(({ token }) => token)).toEqual([4, 1, 3]);
    expect(tokenLogprobs(logits, 0, 0).top).toEqual([]);
    expect(tokenLogprobs(logits, 0, 20).top).toHaveLength(5);
  });

  it('does not overflow on large logits', () => {
    expect(tokenLogprobs(Float32Array.of(3e38, 0), 0, 1).logprob).toBe(0);
    expect(tokenLogprobs(Float32Array.of(1000, 1000), 1, 0).logprob).toBeCloseTo(-Math.LN2, 6);
  });
});

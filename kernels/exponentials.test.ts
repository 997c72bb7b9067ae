import { describe, expect, it } from 'vitest';
import { exponentials } from './exponentials.ts';

describe('exponentials', () => {
  it('are as exact as float32 over its whole range', () => {
    const logits = Float32Array.from({ length: 87_000 }, (_, i) => 5 - i / 1000);
    const weights = new Float32Array(logits.length);
    const sum = exponentials(logits, 5, 1, weights);
    let exactSum = 0;
    let worst = 0;
    for (let i = 0; i < logits.length; i++) {
      const exact = Math.exp(logits[i]! - 5);
      exactSum += exact;
      worst = Math.max(worst, Math.abs(weights[i]! / exact - 1));
    }
    expect(worst).toBeLessThan(1e-7);
    expect(sum / exactSum).toBeCloseTo(1, 8);
  });

  it('scales, and is exactly 1 at the maximum and 0 far below', () => {
    const weights = new Float32Array(4);
    exponentials(Float32Array.of(3, 2, -1e9, -Infinity), 3, 2, weights);
    expect([...weights]).toEqual([1, Math.fround(Math.exp(-2)), 0, 0]);
  });

  it('tell of a logit that is not a number', () => {
    expect(exponentials(Float32Array.of(1, Number.NaN), 1, 1, new Float32Array(2))).toBeNaN();
  });
});

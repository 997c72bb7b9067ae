import { describe, expect, it } from 'vitest';
import { RowKernels } from './row-kernels.ts';

function kernelsFor(...row: readonly number[]): RowKernels {
  const kernels = new RowKernels(row.length);
  kernels.row.set(row);
  return kernels;
}

describe('exponentials of a row', () => {
  it('are as exact as float32 where the mass lies, and to a millionth over its whole range', () => {
    const kernels = kernelsFor(...Array.from({ length: 86_999 }, (_, i) => 5 - i / 1000));
    const sum = kernels.exponentials(5, 1);
    let exactSum = 0;
    let worst = 0;
    let worstOfHeavy = 0;
    for (const [i, logit] of kernels.row.entries()) {
      const exact = Math.exp(logit - 5);
      exactSum += exact;
      const error = Math.abs(kernels.weights[i]! / exact - 1);
      worst = Math.max(worst, error);
      if (i < 1_000) worstOfHeavy = Math.max(worstOfHeavy, error);
    }
    expect(worst).toBeLessThan(5e-6);
    expect(worstOfHeavy).toBeLessThan(3e-7);
    expect(sum / exactSum).toBeCloseTo(1, 7);
  });

  it('scale, and are exactly 1 at the maximum and 0 far below', () => {
    const kernels = kernelsFor(3, 2, -1e9, -Infinity, 3);
    const sum = kernels.exponentials(3, 2);
    expect([kernels.weights[0], ...kernels.weights.subarray(2)]).toEqual([1, 0, 0, 1]);
    expect(kernels.weights[1]).toBeCloseTo(Math.exp(-2), 7);
    expect(sum).toBe(2 + kernels.weights[1]!);
  });

  it('tell of a logit that is not a number, wherever it is', () => {
    for (const at of [0, 1, 6, 7])
      expect(
        kernelsFor(...Array.from({ length: 8 }, (_, i) => (i === at ? Number.NaN : 1))).exponentials(1, 1),
      ).toBeNaN();
  });

  it('see their bits as integers', () => {
    const kernels = kernelsFor(1, 0);
    kernels.exponentials(1, 1);
    expect(kernels.weightBits[0]).toBe(0x3f800000);
  });
});

describe('the maximum of a row', () => {
  it('is found in every place, also in rows that fill no vector', () => {
    for (const length of [1, 3, 4, 5, 11])
      for (let at = 0; at < length; at++)
        expect(kernelsFor(...Array.from({ length }, (_, i) => (i === at ? -1 : -2))).max()).toBe(-1);
  });

  it('passes over what is not a number, and is -Infinity where nothing is one', () => {
    expect(kernelsFor(Number.NaN, 1, Number.NaN).max()).toBe(1);
    expect(kernelsFor(Number.NaN, Number.NaN).max()).toBe(-Infinity);
  });
});

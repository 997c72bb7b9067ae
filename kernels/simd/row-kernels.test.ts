import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BINS } from './cut-code.ts';
import { RowKernels } from './row-kernels.ts';

function kernelsFor(...row: readonly number[]): RowKernels {
  const kernels = new RowKernels(row.length);
  kernels.load(Float32Array.from(row));
  return kernels;
}

describe('exponentials of a row', () => {
  it('are as exact as float32 where the mass lies, and to a hundred-thousandth over its whole range', () => {
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
    expect(worst).toBeLessThan(1e-5);
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

describe('cuts by distance from a centre', () => {
  const bins = { centre: 0, binsPerUnit: 100 };

  it('find where the mass and where the count comes to what is asked for', () => {
    const kernels = kernelsFor(-0.02, 0, 0.05, -3, -Infinity, 0.02);
    kernels.exponentials(0.05, 1);
    expect(kernels.edgeBin('count', bins, 2)).toEqual({ bin: 2, before: 1 });
    expect(kernels.edgeBin('count', bins, 4)).toEqual({ bin: 5, before: 3 });
    const [second, first, , , , third] = kernels.weights;
    const near = first! + second! + third!;
    expect(kernels.edgeBin('mass', bins, near + 0.5)).toEqual({ bin: 5, before: expect.closeTo(near, 6) });
    expect(kernels.edgeBin('count', bins, 6).bin).toBe(BINS - 1);
  });

  it('keep what is up to the edge, and tell of what is at it', () => {
    const kernels = kernelsFor(-0.02, 0, 0.05, -3, -Infinity, 0.02);
    kernels.exponentials(0.05, 1);
    const [second, first, , , , third] = kernels.weights;
    const { mass, inDoubt } = kernels.keepNear(bins, 2);
    expect([...kernels.weights]).toEqual([second, first, third]);
    expect([0, 1, 2].map((place) => kernels.idAt(place))).toEqual([0, 1, 5]);
    expect(mass).toBe(first);
    expect(inDoubt).toEqual([
      { place: 0, weight: second, distance: expect.closeTo(0.02, 6) },
      { place: 2, weight: third, distance: expect.closeTo(0.02, 6) },
    ]);
    kernels.drop(2);
    expect(kernels.weights[2]).toBe(0);
  });

  it('have room for a row that is all in doubt', () => {
    const kernels = kernelsFor(...Array(9).fill(1));
    kernels.exponentials(1, 1);
    expect(kernels.keepNear({ centre: 1, binsPerUnit: 1 }, 0).inDoubt.map(({ place }) => place)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8,
    ]);
  });
});

describe('what is taken out of a row', () => {
  const numbers = fc.array(fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constant(Number.NaN)), {
    minLength: 1,
    maxLength: 200,
    size: 'max',
  });
  const idsOf = (kernels: RowKernels) => Array.from({ length: kernels.size }, (_, i) => kernels.idAt(i));

  it('is what lies outside of an interval, again and again, and the others keep order, weights and ids', () => {
    fc.assert(
      fc.property(
        numbers,
        fc.array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 }))),
        (row, intervals) => {
          const kernels = kernelsFor(...row);
          kernels.exponentials(0, 1);
          const weights = [...kernels.weights];
          let expected = [...row.keys()];
          for (const [least, most] of intervals) {
            kernels.keepBetween(least, most);
            expected = expected.filter((i) => row[i]! >= least && row[i]! <= most);
            expect(idsOf(kernels)).toEqual(expected);
            expect([...kernels.row]).toEqual(expected.map((i) => row[i]));
            expect([...kernels.weights]).toEqual(expected.map((i) => weights[i]));
          }
        },
      ),
    );
  });

  it('is what a mask has no bit for', () => {
    fc.assert(
      fc.property(numbers, fc.array(fc.integer(), { minLength: 7, maxLength: 7 }), (row, words) => {
        const kernels = kernelsFor(...row);
        const mask = Int32Array.from(words.slice(0, Math.ceil(row.length / 32)), (word) => word * (word % 3));
        kernels.keepMasked(mask);
        const expected = [...mask.keys()].flatMap((word) =>
          Array.from({ length: 32 }, (_, bit) => 32 * word + bit).filter(
            (id) => (mask[word]! >>> (id % 32)) & 1,
          ),
        );
        // Bits behind the row are kept as numbers that weigh nothing.
        expect(idsOf(kernels)).toEqual(expected);
        expect([...kernels.row]).toEqual(expected.map((id) => row[id] ?? Number.NEGATIVE_INFINITY));
      }),
    );
  });
});

describe('the mass between two numbers', () => {
  it('is told without and with those that are one of them', () => {
    const kernels = kernelsFor(0, 1, 2, 3, 2, -Infinity, 1);
    kernels.exponentials(3, 1);
    const [, one, two, three] = kernels.weights;
    expect(kernels.massBetween(1, 3)).toEqual({
      inner: expect.closeTo(2 * two!, 12),
      whole: expect.closeTo(2 * two! + 2 * one! + three!, 12),
    });
  });
});

describe('mass along a row', () => {
  it('is located at the index where its sum exceeds it, or at the last that has any', () => {
    const kernels = kernelsFor(0, -Infinity, 0, 0, -Infinity, 0, -Infinity, -Infinity, -Infinity);
    expect(kernels.exponentials(0, 1)).toBe(4);
    const at = [0, 0.99, 1, 1.5, 2.5, 3, 3.999, 4, 100].map((mass) => kernels.locate(mass));
    expect(at).toEqual([0, 0, 2, 2, 3, 5, 5, 5, 5]);
  });
});

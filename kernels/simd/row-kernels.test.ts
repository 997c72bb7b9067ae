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

  it('tell what is in one bin', () => {
    const kernels = kernelsFor(-0.02, 0, 0.05, -3, -Infinity, 0.02, Number.NaN);
    expect([0, 1, 2, 5].map((bin) => kernels.placesIn(bins, bin))).toEqual([[1], [], [0, 5], [2]]);
  });

  it('have room for a row that is all in one bin', () => {
    const places = kernelsFor(...Array(9).fill(1)).placesIn({ centre: 1, binsPerUnit: 1 }, 0);
    expect(places).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('take what is not a number for what is farthest', () => {
    const kernels = kernelsFor(0, Number.NaN, 1, Number.NaN);
    expect(kernels.edgeBin('count', bins, 2)).toEqual({ bin: 100, before: 1 });
    expect(kernels.edgeBin('count', bins, 3)).toEqual({ bin: BINS - 1, before: 2 });
  });
});

describe('numbers of at least so much', () => {
  it('are counted, and all others made to weigh nothing', () => {
    const row = [1, 2, 3, Number.NaN, -Infinity, 2, 1.9999];
    const kernels = kernelsFor(...row);
    expect([-Infinity, 1, 2, 3, 4].map((least) => kernels.countFrom(least))).toEqual([
      // The row is filled up to whole groups.
      64 - 1,
      5,
      3,
      1,
      0,
    ]);
    kernels.load(Float32Array.from(row, (each) => (Number.isNaN(each) ? 0 : each)));
    kernels.exponentials(3, 1);
    const [, two, three] = kernels.weights;
    expect(kernels.dropUnder(2)).toBe(2 * two! + three!);
    expect([...kernels.weights]).toEqual([0, two, three, 0, 0, two, 0]);
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

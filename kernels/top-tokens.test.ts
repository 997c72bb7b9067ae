import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowKernels } from './simd/row-kernels.ts';
import { argmax, topTokens } from './top-tokens.ts';

/** Few distinct values, so that equal ones are common; no −0, which is 0 to all but the tests' own comparisons. */
const rows = fc
  .array(fc.oneof(fc.integer({ min: -5, max: 5 }), fc.float({ noNaN: true })), {
    minLength: 1,
    maxLength: 300,
    size: 'large',
  })
  .map((values) => Float32Array.from(values, (value) => value + 0));

function sortedIds(row: Float32Array): number[] {
  return [...row.keys()]
    .filter((id) => row[id]! > Number.NEGATIVE_INFINITY)
    .sort((a, b) => row[b]! - row[a]! || a - b);
}

function topOf(row: Float32Array, count: number) {
  const kernels = new RowKernels(row.length);
  kernels.load(row);
  return topTokens(kernels, count);
}

describe('topTokens', () => {
  it('agrees with sorting', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 80 }), (row, count) => {
        const expected = sortedIds(row).slice(0, count);
        expect(topOf(row, count)).toEqual(expected.map((id) => ({ id, logit: row[id]! })));
      }),
    );
  });

  it('passes over what is not a number', () => {
    expect(topOf(Float32Array.of(Number.NaN, 1, -Infinity, 2), 4).map(({ id }) => id)).toEqual([3, 1]);
  });
});

describe('argmax', () => {
  it('agrees with sorting', () => {
    fc.assert(
      fc.property(rows, (row) => {
        expect(argmax(row)).toBe(sortedIds(row)[0] ?? -1);
      }),
    );
  });
});

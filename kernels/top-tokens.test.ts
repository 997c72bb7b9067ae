import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argmax, topTokens } from './top-tokens.ts';

/** Few distinct values, so that equal ones are common; no −0, which is 0 to all but the tests' own comparisons. */
const rows = fc
  .array(fc.oneof(fc.integer({ min: -5, max: 5 }), fc.float({ noNaN: true })), {
    minLength: 1,
    maxLength: 70,
  })
  .map((values) => Float32Array.from(values, (value) => value + 0));

function sortedIds(row: Float32Array): number[] {
  return [...row.keys()]
    .filter((id) => row[id]! > Number.NEGATIVE_INFINITY)
    .sort((a, b) => row[b]! - row[a]! || a - b);
}

describe('topTokens', () => {
  it('agrees with sorting', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 80 }), (row, count) => {
        const expected = sortedIds(row).slice(0, count);
        const top = topTokens(row, count);
        expect([...top.ids]).toEqual(expected);
        expect([...top.logits]).toEqual(expected.map((id) => row[id]!));
      }),
    );
  });

  it('passes over what is not a number', () => {
    expect([...topTokens(Float32Array.of(Number.NaN, 1, -Infinity, 2), 4).ids]).toEqual([3, 1]);
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

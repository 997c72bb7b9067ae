import { describe, expect, it } from 'vitest';
import { median, upperMedian } from './order-statistics.ts';

describe.each([
  { name: 'median', of: median, odd: 9, even: 6, none: 0 },
  { name: 'upperMedian', of: upperMedian, odd: 9, even: 9, none: undefined },
])('$name', ({ of, odd, even, none }) => {
  it('goes by size, not by the order in which samples came or by how they are written', () => {
    expect(of([100, 9, 3])).toBe(odd);
    expect(of([100, 9, 3, 1])).toBe(even);
    expect(of([7])).toBe(7);
    expect(of([])).toBe(none);
  });

  it('leaves the samples as they came', () => {
    const samples = [3, 1, 2, 0];
    of(samples);
    expect(samples).toEqual([3, 1, 2, 0]);
  });
});

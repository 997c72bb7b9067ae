import { describe, expect, it } from 'vitest';
import { seededRandom } from './random.ts';

const take = (seed: number, count: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, random);
};

describe('seededRandom', () => {
  it('repeats for a seed', () => {
    expect(take(7, 20)).toEqual(take(7, 20));
  });

  it('is uniform in [0, 1)', () => {
    const values = take(1, 100_000);
    const cells = new Array(100).fill(0);
    for (const value of values) cells[Math.floor(value * 100)]++;
    const statistic = cells.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    expect(Math.abs(statistic - 99)).toBeLessThan(5 * Math.sqrt(2 * 99));
  });

  it('starts independently for neighbouring, negative and large seeds', () => {
    const seeds = [0, 1, 2, 3, -1, -2, 2 ** 32, 2 ** 32 + 1, 2 ** 52, Number.MAX_SAFE_INTEGER];
    const firsts = seeds.map((seed) => take(seed, 1)[0]!);
    expect(new Set(firsts).size).toBe(seeds.length);
    const mean =
      Array.from({ length: 10_000 }, (_, seed) => take(seed, 1)[0]!).reduce((a, b) => a + b) / 10_000;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.015);
  });
});

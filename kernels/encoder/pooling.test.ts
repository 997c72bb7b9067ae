import { describe, expect, it } from 'vitest';
import { type Pooling, pool } from './pooling.ts';

/** Two rows of three positions, two numbers each; the second row has one token, and padding that must not count. */
const states = {
  data: Float32Array.of(1, -4, 3, 2, 8, -1, /* row 2 */ 5, 6, 99, 99, 99, 99),
  sequenceLength: 3,
  hiddenSize: 2,
  lengths: [3, 1],
};

describe('pooling', () => {
  it.each<[Pooling, number[]]>([
    ['mean', [4, -1]],
    ['cls', [1, -4]],
    ['last', [8, -1]],
    ['max', [8, 2]],
    ['mean-sqrt-len', [12 / Math.sqrt(3), -3 / Math.sqrt(3)]],
  ])('%s takes the tokens of each row and never its padding', (pooling, first) => {
    const [a, b] = pool(states, pooling);
    expect(Array.from(a!)).toEqual(first.map(Math.fround));
    expect(Array.from(b!)).toEqual([5, 6]);
  });

  it('does not hand out views of the batch', () => {
    for (const pooling of ['cls', 'last', 'max', 'mean'] as const) {
      const data = states.data.slice();
      const [vector] = pool({ ...states, data }, pooling);
      const before = Array.from(vector!);
      data.fill(0);
      expect(Array.from(vector!)).toEqual(before);
    }
  });
});

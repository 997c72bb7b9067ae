import { expect, it } from 'vitest';
import { Latest } from './latest.ts';

it('keeps the latest, and begins anew when it is cleared', () => {
  const latest = new Latest(3, () => ({ number: 0 }));
  const numbers = () => latest.all.map(({ number }) => number).sort();
  const add = (from: number, to: number) => {
    for (let number = from; number <= to; number++) latest.next().number = number;
  };
  add(1, 2);
  expect(numbers()).toEqual([1, 2]);
  add(3, 7);
  expect(numbers()).toEqual([5, 6, 7]);
  latest.clear();
  expect(numbers()).toEqual([]);
  add(8, 12);
  expect(numbers()).toEqual([10, 11, 12]);
});

import { expect, it } from 'vitest';
import { RecentlyUsed } from './recently-used.ts';

it('remembers those that were used last, at least as many as it says and at most twice as many', () => {
  const known = new RecentlyUsed<string>(100);
  const use = (key: string) => known.use(key, () => `of ${key}`);
  use('often');
  for (let i = 0; i < 1_000; i++) {
    use(`${i}`);
    if (i % 50 === 0) use('often');
    if (i >= 100) expect(known.peek(`${i - 98}`)).toBe(`of ${i - 98}`);
    expect(known.peek(`${i - 200}`)).toBeUndefined();
  }
  expect(known.peek('often')).toBe('of often');
});

it('keeps what is changed in place', () => {
  const known = new RecentlyUsed<{ count: number }>(2);
  for (let i = 0; i < 10; i++) {
    known.use('a', () => ({ count: 0 })).count += 1;
    known.use(`${i}`, () => ({ count: 0 }));
  }
  expect(known.peek('a')).toEqual({ count: 10 });
});

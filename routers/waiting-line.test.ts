import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type InLine, WaitingLine } from './waiting-line.ts';

interface One extends InLine<One> {
  readonly id: number;
}

const one = (id: number): One => ({ id, older: undefined, newer: undefined });

it('is what a set is, and lets go of who leaves', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (moves) => {
      const all = Array.from({ length: 10 }, (_, id) => one(id));
      const line = new WaitingLine<One>();
      const set = new Set<One>();
      for (const id of moves) {
        const mover = all[id]!;
        expect(line.leave(mover)).toBe(set.delete(mover));
        if (id % 3 > 0) {
          line.join(mover);
          set.add(mover);
        } else expect([mover.older, mover.newer]).toEqual([undefined, undefined]);
        expect([...line].map(({ id }) => id)).toEqual([...set].map(({ id }) => id));
        expect([line.length, line.oldest]).toEqual([set.size, [...set][0]]);
      }
    }),
  );
});

it('may be left by who is looked at', () => {
  const line = new WaitingLine<One>();
  for (const id of [1, 2, 3]) line.join(one(id));
  const seen: number[] = [];
  for (const each of line) {
    seen.push(each.id);
    line.leave(each);
  }
  expect([seen, line.length]).toEqual([[1, 2, 3], 0]);
});

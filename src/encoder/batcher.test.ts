import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Batcher, lengthClass } from './batcher.ts';

interface Item {
  readonly request: number;
  readonly index: number;
  readonly length: number;
}

const BUDGET_TOKENS = 256;

/** Requests as lists of input lengths. */
const requests = fc.array(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 40 }), {
  minLength: 1,
  maxLength: 12,
});

function filled(lists: readonly (readonly number[])[]): Batcher<Item> {
  const batcher = new Batcher<Item>();
  for (const [request, lengths] of lists.entries())
    for (const [index, length] of lengths.entries()) batcher.add(request, { request, index, length });
  return batcher;
}

function drain(batcher: Batcher<Item>): Item[][] {
  const batches: Item[][] = [];
  for (;;) {
    const batch = batcher.take(BUDGET_TOKENS).map(({ item }) => item);
    if (batch.length === 0) return batches;
    batches.push(batch);
  }
}

describe('the batcher', () => {
  it('gives every input exactly once', () => {
    fc.assert(
      fc.property(requests, (lists) => {
        const batcher = filled(lists);
        const count = lists.flat().length;
        expect(batcher.waiting).toBe(count);
        const given = drain(batcher).flat();
        expect(given.length).toBe(count);
        expect(new Set(given.map(({ request, index }) => `${request}/${index}`)).size).toBe(count);
        expect(batcher.waiting).toBe(0);
        expect([...batcher.waitingRequests()]).toEqual([]);
      }),
    );
  });

  it('takes no more rows than it is asked for, of as many requests as it can', () => {
    const batcher = filled([[8, 8, 8], [8], [8, 8]]);
    expect(batcher.take(BUDGET_TOKENS, 2).map(({ request }) => request)).toEqual([0, 1]);
    expect(batcher.take(BUDGET_TOKENS, 3).map(({ request }) => request)).toEqual([2, 0, 2]);
    expect(batcher.waiting).toBe(1);
  });

  it('never exceeds the budget with more than one row, and pads little', () => {
    fc.assert(
      fc.property(requests, (lists) => {
        for (const batch of drain(filled(lists))) {
          const longest = Math.max(...batch.map((item) => item.length));
          if (batch.length > 1) expect(batch.length * longest).toBeLessThanOrEqual(BUDGET_TOKENS);
          for (const { length } of batch)
            expect(longest - length).toBeLessThanOrEqual(Math.max(3, longest / 4));
        }
      }),
    );
  });

  it('makes a request wait for at most as many batches as there were requests before it', () => {
    fc.assert(
      fc.property(requests, (lists) => {
        const batcher = filled(lists);
        const late = lists.length;
        batcher.add(late, { request: late, index: 0, length: 10 });
        const batches = drain(batcher);
        const at = batches.findIndex((batch) => batch.some(({ request }) => request === late));
        expect(at).toBeLessThanOrEqual(lists.length);
      }),
    );
  });

  it('lets no request run dry while it has inputs: between two of its batches everybody else has at most one turn', () => {
    fc.assert(
      fc.property(requests, (lists) => {
        const batches = drain(filled(lists));
        for (const request of lists.keys()) {
          const served = batches.flatMap((batch, i) =>
            batch.some((item) => item.request === request) ? [i] : [],
          );
          for (const [i, at] of served.entries())
            expect(at - (served[i - 1] ?? -1)).toBeLessThanOrEqual(lists.length);
        }
      }),
    );
  });

  it('forgets a cancelled request, whenever that happens', () => {
    fc.assert(
      fc.property(requests, fc.nat(11), fc.nat(5), (lists, victim, afterBatches) => {
        const batcher = filled(lists);
        let given = 0;
        for (let i = 0; i < afterBatches; i++) given += batcher.take(BUDGET_TOKENS).length;
        const before = batcher.waiting;
        expect(before).toBe(lists.flat().length - given);
        batcher.cancel(victim);
        const rest = drain(batcher).flat();
        expect(rest.some(({ request }) => request === victim)).toBe(false);
        expect(rest.length).toBeLessThanOrEqual(before);
        expect(batcher.waiting).toBe(0);
      }),
    );
  });

  it('serves a single input in the next batch but one behind a request of 2,048', () => {
    const batcher = filled([Array.from({ length: 2_048 }, () => 300)]);
    batcher.take(BUDGET_TOKENS);
    batcher.add(1, { request: 1, index: 0, length: 5 });
    batcher.take(BUDGET_TOKENS);
    expect(batcher.take(BUDGET_TOKENS).map(({ request }) => request)).toEqual([1]);
  });

  it('merges the inputs of many clients into one batch', () => {
    const batcher = filled(Array.from({ length: 16 }, () => [12]));
    expect(batcher.take(BUDGET_TOKENS).map(({ request }) => request)).toEqual(
      Array.from({ length: 16 }, (_, i) => i),
    );
  });

  it('splits the budget evenly between two large requests', () => {
    const batcher = filled([Array.from({ length: 100 }, () => 8), Array.from({ length: 100 }, () => 8)]);
    const counts = [0, 0];
    for (const { request } of batcher.take(BUDGET_TOKENS)) counts[request]!++;
    expect(counts).toEqual([16, 16]);
  });
});

describe('length classes', () => {
  it('cover every length with little to spare', () => {
    for (let length = 1; length <= 2_048; length++) {
      const up = lengthClass(length);
      expect(up).toBeGreaterThanOrEqual(length);
      expect(up - length).toBeLessThan(Math.max(8, length / 4));
      expect(lengthClass(up)).toBe(up);
    }
  });
});

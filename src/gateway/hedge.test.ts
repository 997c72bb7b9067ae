import { describe, expect, it } from 'vitest';
import { type Attempt, hedge } from './hedge.ts';
import { HedgeBucket } from './placement/hedge-bucket.ts';

function attempt() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let lost = 0;
  const made: Attempt<string> = {
    answered: promise,
    lose: () => {
      lost += 1;
    },
  };
  return { ...made, resolve, reject, lost: () => lost };
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 10));

describe('hedge', () => {
  it('asks nobody else when the first answers or fails in time', async () => {
    const never = () => {
      throw new Error('asked');
    };
    const first = attempt();
    first.resolve('a');
    expect(await hedge(first, 5, never)).toBe('a');
    const failing = attempt();
    failing.reject(new Error('boom'));
    await expect(hedge(failing, 5, never)).rejects.toThrow('boom');
    await soon();
  });

  it('waits on when there may be no other', async () => {
    const first = attempt();
    const reply = hedge(first, 1, () => undefined);
    await soon();
    first.resolve('a');
    expect(await reply).toBe('a');
    expect(first.lost()).toBe(0);
  });

  it.each(['first', 'second'])(
    'takes the answer that comes first (%s) and tells the other',
    async (winner) => {
      const [first, second] = [attempt(), attempt()];
      const reply = hedge(first, 1, () => second);
      await soon();
      const [won, late] = winner === 'first' ? [first, second] : [second, first];
      won.resolve('won');
      expect(await reply).toBe('won');
      expect([won.lost(), late.lost()]).toEqual([0, 1]);
    },
  );

  it('takes a failure for an answer only when both fail', async () => {
    for (const [failsFirst, other] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const both = [attempt(), attempt()] as const;
      const reply = hedge(both[0], 1, () => both[1]);
      await soon();
      both[failsFirst].reject(new Error('boom'));
      await soon();
      both[other].resolve('answer');
      expect(await reply).toBe('answer');
    }
    const [first, second] = [attempt(), attempt()];
    const reply = hedge(first, 1, () => second);
    await soon();
    second.reject(new Error('second'));
    first.reject(new Error('first'));
    await expect(reply).rejects.toThrow('first');
  });
});

describe('HedgeBucket', () => {
  const spent = (requests: number, saturation: number) => {
    const bucket = new HedgeBucket();
    let hedges = 0;
    for (let i = 0; i < requests; i += 1) {
      bucket.earn();
      if (!bucket.allows(saturation)) continue;
      bucket.spend();
      hedges += 1;
    }
    return hedges;
  };

  it('allows a twentieth of the requests, and none when the fleet is busy', () => {
    expect(spent(1_000, 0.5)).toBe(50);
    expect(spent(1_000, 0.71)).toBe(0);
  });

  it('saves up for a few', () => {
    const bucket = new HedgeBucket();
    for (let i = 0; i < 10_000; i += 1) bucket.earn();
    let hedges = 0;
    for (; bucket.allows(0); hedges += 1) bucket.spend();
    expect(hedges).toBe(10);
  });
});

import { expect, it } from 'vitest';
import { policyContract } from './policy.contract.ts';
import { roundRobin } from './round-robin.ts';

policyContract(roundRobin);

const candidate = (id: string, ready = true) => ({ id, ready, inFlight: 0 });

it('gives each candidate its turn', () => {
  const policy = roundRobin();
  const candidates = ['a', 'b', 'c'].map((id) => candidate(id));
  const firsts = Array.from(
    { length: 6 },
    () => policy.rank({ candidates, nowMs: 0, random: () => 0 })[0]?.id,
  );
  expect(firsts).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
});

it('falls back to the next in order, and to what is down last of all', () => {
  const policy = roundRobin();
  const candidates = [candidate('a', false), candidate('b'), candidate('c')];
  expect(policy.rank({ candidates, nowMs: 0, random: () => 0 }).map((c) => c.id)).toEqual(['b', 'c', 'a']);
});

it('stays even when some candidates are not always there', () => {
  const policy = roundRobin();
  const all = ['a', 'b', 'c'].map((id) => candidate(id));
  const turns: Record<string, number> = {};
  for (let i = 0; i < 300; i += 1) {
    // As when `a` fails: the others are ranked once more, without it.
    let first = policy.rank({ candidates: all, nowMs: 0, random: () => 0 })[0];
    if (first?.id === 'a') first = policy.rank({ candidates: all.slice(1), nowMs: 0, random: () => 0 })[0];
    turns[first!.id] = (turns[first!.id] ?? 0) + 1;
  }
  expect(turns.a).toBeUndefined();
  expect(Math.abs(turns.b! - turns.c!)).toBeLessThanOrEqual(1);
});

it('does not remember for ever who is gone', () => {
  const policy = roundRobin();
  for (let i = 0; i < 10_000; i += 1)
    policy.rank({ candidates: [candidate(`gone-${i}`)], nowMs: 0, random: () => 0 });
  const two = [candidate('a'), candidate('b')];
  const firsts = [1, 2, 3, 4].map(() => policy.rank({ candidates: two, nowMs: 0, random: () => 0 })[0]?.id);
  expect(new Set(firsts)).toEqual(new Set(['a', 'b']));
});

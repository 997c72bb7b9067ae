import { expect, it } from 'vitest';
import type { Candidate } from './candidate.ts';
import type { Policy } from './policy.ts';
import { UNKNOWN_REQUEST } from './request.ts';
import { roundRobin } from './round-robin.ts';

const candidate = (id: string, ready = true) => ({ id, ready, inFlight: 0 });
const ids = (policy: Policy, candidates: readonly Candidate[]) =>
  policy
    .rank({ request: UNKNOWN_REQUEST, candidates, nowMs: 0, random: () => 0 })
    .map((ranked) => ranked.candidate.id);

it('gives each candidate its turn', () => {
  const policy = roundRobin();
  const candidates = ['a', 'b', 'c'].map((id) => candidate(id));
  const firsts = Array.from({ length: 6 }, () => ids(policy, candidates)[0]);
  expect(firsts).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
});

it('falls back to the next in order, and to what is down last of all', () => {
  const policy = roundRobin();
  const candidates = [candidate('a', false), candidate('b'), candidate('c')];
  expect(ids(policy, candidates)).toEqual(['b', 'c', 'a']);
});

it('stays even when some candidates are not always there', () => {
  const policy = roundRobin();
  const all = ['a', 'b', 'c'].map((id) => candidate(id));
  const turns: Record<string, number> = {};
  for (let i = 0; i < 300; i += 1) {
    // As when `a` fails: the others are ranked once more, without it.
    let [first] = ids(policy, all);
    if (first === 'a') [first] = ids(policy, all.slice(1));
    turns[first!] = (turns[first!] ?? 0) + 1;
  }
  expect(turns.a).toBeUndefined();
  expect(Math.abs(turns.b! - turns.c!)).toBeLessThanOrEqual(1);
});

it('does not remember for ever who is gone', () => {
  const policy = roundRobin();
  for (let i = 0; i < 10_000; i += 1) ids(policy, [candidate(`gone-${i}`)]);
  const two = [candidate('a'), candidate('b')];
  const firsts = [1, 2, 3, 4].map(() => ids(policy, two)[0]);
  expect(new Set(firsts)).toEqual(new Set(['a', 'b']));
});

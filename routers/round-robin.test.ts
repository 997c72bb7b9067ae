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

import { expect, it } from 'vitest';
import type { Candidate } from './candidate.ts';
import type { Policy } from './policy.ts';
import { powerOfTwo } from './power-of-two.ts';
import { UNKNOWN_REQUEST } from './request.ts';
import { weighted } from './weighted.ts';

/** A linear congruential generator: enough to draw from. */
function chance(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function firsts(policy: Policy, candidates: readonly Candidate[], rounds: number): Record<string, number> {
  const random = chance();
  const counts: Record<string, number> = {};
  for (let i = 0; i < rounds; i += 1) {
    const ranked = policy.rank({ request: UNKNOWN_REQUEST, candidates, nowMs: 0, random });
    const { id } = ranked[0]!.candidate;
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

it('weighted gives each its share, and nothing to a weight of 0 while others are there', () => {
  const candidates = [
    { id: 'a', ready: true, inFlight: 0, weight: 3 },
    { id: 'b', ready: true, inFlight: 0, weight: 1 },
    { id: 'c', ready: true, inFlight: 0, weight: 0 },
  ];
  const counts = firsts(weighted(), candidates, 10_000);
  expect(counts.a! / counts.b!).toBeGreaterThan(2.7);
  expect(counts.a! / counts.b!).toBeLessThan(3.3);
  expect(counts.c).toBeUndefined();
  expect(firsts(weighted(), [candidates[2]!], 1)).toEqual({ c: 1 });
});

it('power-of-two never takes the most loaded, and mostly the less loaded ones', () => {
  const candidates = [0, 1, 2, 3].map((inFlight) => ({ id: `load-${inFlight}`, ready: true, inFlight }));
  const counts = firsts(powerOfTwo(), candidates, 4_000);
  expect(counts['load-3']).toBeUndefined();
  // Of the six pairs three hold the idle one, two the next, one the third.
  expect(counts['load-0']).toBeGreaterThan(1_800);
  expect(counts['load-2']).toBeLessThan(900);
});

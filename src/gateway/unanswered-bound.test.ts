import { expect, it } from 'vitest';
import { UnansweredBound } from './unanswered-bound.ts';

it('prompts without an answer may be one more with each round in which nobody was late, and fewer at once', () => {
  let nowMs = 0;
  const bound = new UnansweredBound(() => nowMs);
  const first = bound.at;
  for (let round = 0; round < 5; round += 1) {
    nowMs += 100;
    for (let i = 0; i < 3; i += 1) bound.calm(nowMs, bound.at);
  }
  expect(bound.at).toBe(first + 5);
  // What is seen of fewer says nothing of more.
  bound.calm(nowMs + 1, 1);
  expect(bound.at).toBe(first + 5);
  expect(bound.late(nowMs, 0, 0.5)).toBe(false);
  expect(bound.late(nowMs, bound.at, 0.5)).toBe(true);
  expect(bound.at).toBeLessThan(first + 3);
  nowMs += 100;
  expect(bound.late(nowMs, 1, 0.5)).toBe(true);
  expect(bound.at).toBe(1);
  expect(bound.late(nowMs, 1, 0.5)).toBe(false);
});

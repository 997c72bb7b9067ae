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
  expect(bound.allows(first + 4)).toBe(true);
  expect(bound.allows(first + 5)).toBe(false);
  expect(bound.late(nowMs, 0, 0.5, true)).toBe(false);
  expect(bound.late(nowMs, bound.at, 0.5, true)).toBe(true);
  expect(bound.at).toBeLessThan(first + 3);
});

it('leaves pauses between prompts where one alone makes others late, and shorter ones when they are not', () => {
  let nowMs = 0;
  const bound = new UnansweredBound(() => nowMs);
  const makeLate = (times: number) => {
    for (let i = 0; i < times; i += 1) {
      nowMs += 100;
      bound.late(nowMs, 1, 0.5, true);
    }
  };
  makeLate(8);
  expect(bound.at).toBeLessThan(0.1);
  bound.answered(50);
  expect(bound.allows(0)).toBe(false);
  nowMs += 50;
  expect(bound.allows(0)).toBe(false);
  nowMs += 1_950;
  expect(bound.allows(0)).toBe(true);
  expect(bound.allows(1)).toBe(false);
  for (let i = 0; i < 600; i += 1) bound.calm(nowMs, 0);
  bound.answered(50);
  nowMs += 50;
  expect(bound.allows(0)).toBe(true);
});

it('has one at least where whole replies are late, or only a few first tokens', () => {
  let nowMs = 0;
  const bound = new UnansweredBound(() => nowMs);
  for (let i = 0; i < 20; i += 1) {
    nowMs += 100;
    bound.late(nowMs, 1, 0.5, false);
  }
  expect(bound.at).toBe(1);
  for (let i = 0; i < 40; i += 1) bound.calm(nowMs, 1);
  nowMs += 100;
  bound.late(nowMs, 1, 0.5, true);
  expect(bound.at).toBeGreaterThanOrEqual(1);
});

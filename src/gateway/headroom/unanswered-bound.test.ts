import { expect, it } from 'vitest';
import { UnansweredBound } from './unanswered-bound.ts';

it('prompts without an answer may be more with each round in which nobody was late, and fewer once several are late', () => {
  let nowMs = 0;
  const bound = new UnansweredBound(() => nowMs);
  const first = bound.at;
  for (let round = 0; round < 5; round += 1) {
    nowMs += 100;
    for (let i = 0; i < 3; i += 1) bound.calm(nowMs, bound.at, false);
  }
  const most = bound.at;
  expect(most).toBeGreaterThanOrEqual(first + 5);
  // What is seen of fewer says nothing of more.
  bound.calm(nowMs + 1, 1, true);
  expect(bound.at).toBe(most);
  expect(bound.allows(Math.floor(most) - 1)).toBe(true);
  expect(bound.allows(Math.floor(most))).toBe(false);
  expect(bound.late(nowMs, 0, 0.5, true)).toBe(false);
  // One may have been late for something else.
  expect(bound.late(nowMs, 1, 0.5, true)).toBe(false);
  expect(bound.at).toBe(most);
  expect(bound.late(nowMs, most, 0.5, true)).toBe(true);
  expect(bound.at).toBeLessThan(most * 0.6);
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
  for (let i = 0; i < 600; i += 1) bound.calm(nowMs, 0, true);
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
  for (let i = 0; i < 40; i += 1) bound.calm(nowMs, 1, true);
  nowMs += 100;
  bound.late(nowMs, 1, 0.5, true);
  expect(bound.at).toBeGreaterThanOrEqual(1);
});

it('grows from one to two on the word of those that found one, as there never are more', () => {
  let nowMs = 0;
  const bound = new UnansweredBound(() => nowMs);
  for (let i = 0; i < 20; i += 1) {
    nowMs += 100;
    bound.late(nowMs, 1, 0.5, false);
  }
  expect(bound.at).toBe(1);
  for (let i = 0; i < 200; i += 1) bound.calm(nowMs, 1, true);
  expect(bound.at).toBeGreaterThanOrEqual(2);
  expect(bound.at).toBeLessThan(2.1);
});

import { expect, test } from 'vitest';
import { StepBudget } from './step-budget.ts';

/** After many steps of a machine that decodes a batch in `decodeMs` and computes a prompt token in `tokenMs`. */
function settled(decodeMs: number, tokenMs: number): StepBudget {
  const budget = new StepBudget();
  for (let i = 0; i < 40; i++) {
    budget.decoded(decodeMs);
    budget.prefilled(budget.chunkTokens(0), budget.chunkTokens(0) * tokenMs);
  }
  return budget;
}

test.each([
  [20, 1.2, 80],
  [20, 0.2, 256],
  [60, 3, 16],
  [400, 20, 16],
  [0, 0, 256],
])('a batch of %d ms and %d ms per prompt token leave room for %d tokens', (decodeMs, tokenMs, chunk) => {
  expect(settled(decodeMs, tokenMs).chunkTokens(0)).toBe(chunk);
});

test('before anything was measured it is careful', () => {
  expect(new StepBudget().chunkTokens(0)).toBe(64);
});

test('a chunk of few tokens is no measure', () => {
  const budget = settled(20, 1.2);
  budget.prefilled(2, 15);
  expect(budget.chunkTokens(0)).toBe(80);
});

test('a slower machine is noticed within a few steps', () => {
  const budget = settled(20, 1.2);
  for (let i = 0; i < 5; i++) budget.prefilled(budget.chunkTokens(0), budget.chunkTokens(0) * 4);
  expect(budget.chunkTokens(0)).toBeLessThanOrEqual(32);
});

test('a crowd that waits has a step of more tokens', () => {
  const budget = settled(20, 1.2);
  expect(budget.chunkTokens(3)).toBe(80);
  expect(budget.chunkTokens(4)).toBe(112);
});

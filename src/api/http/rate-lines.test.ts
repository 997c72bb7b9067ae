import { expect, it } from 'vitest';
import type { RateStatus } from '../../core/error.ts';
import { headerPairs } from './header-lines.ts';
import { rateLines } from './rate-lines.ts';

const rateHeaders = (rate: RateStatus) => Object.fromEntries(headerPairs(rateLines(rate)));

it('tells of limits as OpenAI does', () => {
  const requests = { limit: 60, remaining: 59, resetMs: 1_000 };
  expect(rateHeaders({ requests })).toEqual({
    'x-ratelimit-limit-requests': '60',
    'x-ratelimit-remaining-requests': '59',
    'x-ratelimit-reset-requests': '1s',
  });
});

it.each([
  [0, '0ms'],
  [12, '12ms'],
  [1_500, '1.5s'],
  [59_990, '59.99s'],
  [360_000, '6m0s'],
  [61_500, '1m2s'],
  [119_500, '2m0s'],
])('writes %d ms as %s', (resetMs, text) => {
  const tokens = { limit: 1, remaining: 0, resetMs };
  expect(rateHeaders({ tokens })['x-ratelimit-reset-tokens']).toBe(text);
});

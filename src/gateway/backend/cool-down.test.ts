import { expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import { CoolDown } from './cool-down.ts';

it.each([
  ['429 without a word', new AppError('rate_limit_exceeded'), 1_000],
  ['429 with a time', new AppError('rate_limit_exceeded', { retryAfterMs: 7_000 }), 7_000],
  ['503 with a time', new AppError('upstream_unreachable', { retryAfterMs: 3_000 }), 3_000],
  ['503 without one', new AppError('upstream_unreachable'), 0],
  ['a time beyond measure', new AppError('rate_limit_exceeded', { retryAfterMs: 9e9 }), 60_000],
  ['a refused key', new AppError('upstream_refused'), 10_000],
  ['a failure', new AppError('upstream_error'), 0],
])('%s', (_, error, expected) => {
  const cool = new CoolDown(() => 0);
  cool.failed(error);
  expect(cool.leftMs).toBe(expected);
});

it('goes by the latest word, and ends with an answer to what was sent since', () => {
  let nowMs = 0;
  const cool = new CoolDown(() => nowMs);
  cool.failed(new AppError('rate_limit_exceeded', { retryAfterMs: 30_000 }));
  nowMs = 1_000;
  expect(cool.leftMs).toBe(29_000);
  cool.failed(new AppError('rate_limit_exceeded', { retryAfterMs: 2_000 }));
  expect(cool.leftMs).toBe(2_000);
  cool.answered(999);
  expect(cool.leftMs).toBe(2_000);
  cool.answered(1_000);
  expect(cool.leftMs).toBe(0);
});

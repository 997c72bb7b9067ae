import { expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import { outcomeOf } from './call-outcome.ts';

it.each([
  ['upstream_unreachable', undefined, 'unreachable'],
  ['upstream_unreachable', 503, 'unavailable'],
  ['upstream_timeout', undefined, 'late'],
  ['upstream_timeout', 200, 'late'],
  ['upstream_timeout', 504, 'failed'],
  ['upstream_error', undefined, 'failed'],
  ['upstream_error', 200, 'failed'],
  ['upstream_error', 500, 'failed'],
  ['upstream_error', 501, 'neutral'],
  ['upstream_refused', 404, 'neutral'],
  ['rate_limit_exceeded', 429, 'neutral'],
  ['client_closed', undefined, 'neutral'],
] as const)('%s after %s is %s', (code, status, outcome) => {
  expect(outcomeOf(new AppError(code), status)).toBe(outcome);
});

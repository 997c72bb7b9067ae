import type { Context } from 'hono';
import { AppError } from '../../core/error.ts';
import type { AppEnv } from './app-env.ts';

const HEADER = 'x-qianmen-timeout-ms';
const MAX_MS = 3_600_000;

/**
 * How long the client is willing to wait for the whole reply; undefined: it does not say.
 *
 * @throws AppError `invalid_value`
 */
export function requestTimeoutMs(c: Context<AppEnv>): number | undefined {
  const text = c.req.header(HEADER);
  if (text === undefined) return undefined;
  const ms = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (ms >= 1 && ms <= MAX_MS) return ms;
  throw new AppError('invalid_value', {
    message: `The header ${HEADER} must be a whole number of milliseconds from 1 to ${MAX_MS}.`,
    param: HEADER,
  });
}

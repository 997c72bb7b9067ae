import { z } from 'zod';
import type { Limits } from '../src/core/caller.ts';
import { NANO_USD_PER_USD } from '../src/core/money.ts';
import { positive } from './primitives.ts';

/** A counter of nano-dollars cannot hold ten million dollars. */
const usd = z.number().min(0).max(9_000_000);

/** What may be used in a period. What is not named is not limited. */
export const rates = z.strictObject({
  requestsPerMinute: positive.optional(),
  /** Prompt and output together. */
  tokensPerMinute: positive.optional(),
  /** Requests that run or wait at the same time. */
  concurrency: positive.optional(),
  /** Of a calendar day in UTC. */
  usdPerDay: usd.optional(),
  usdPerMonth: usd.optional(),
});

export type Rates = z.infer<typeof rates>;

export function limitsOf({ usdPerDay, usdPerMonth, ...rest }: Rates): Limits {
  return { ...rest, nanoUsdPerDay: nanoUsd(usdPerDay), nanoUsdPerMonth: nanoUsd(usdPerMonth) };
}

function nanoUsd(usd: number | undefined): number | undefined {
  return usd === undefined ? undefined : Math.round(usd * NANO_USD_PER_USD);
}

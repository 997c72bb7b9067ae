import type { Limits } from '../core/caller.ts';

/** What one of several may give out of limits that all of them share: less rather than more, but at least one of each. */
export function shareOf(limits: Limits, share: number): Limits {
  const part = (limit: number | undefined) =>
    limit === undefined ? undefined : Math.min(limit, Math.max(1, Math.floor(limit * share)));
  return {
    requestsPerMinute: part(limits.requestsPerMinute),
    tokensPerMinute: part(limits.tokensPerMinute),
    concurrency: part(limits.concurrency),
    nanoUsdPerDay: part(limits.nanoUsdPerDay),
    nanoUsdPerMonth: part(limits.nanoUsdPerMonth),
  };
}

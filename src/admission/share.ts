import type { Limits } from '../core/caller.ts';

/** What one of several gateways may give out of limits that they share: rounded down, but at least one of each. */
function shareOf(limits: Limits, share: number): Limits {
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

/** A share of limits, computed once for each object that holds some. */
export class Share {
  readonly share: number;
  readonly #known = new WeakMap<Limits, Limits>();

  /** @param share 0 to 1. */
  constructor(share: number) {
    this.share = share;
  }

  of(limits: Limits): Limits {
    if (this.share >= 1) return limits;
    let shared = this.#known.get(limits);
    if (shared === undefined) {
      shared = shareOf(limits, this.share);
      this.#known.set(limits, shared);
    }
    return shared;
  }
}

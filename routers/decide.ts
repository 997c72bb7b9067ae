import type { Candidate } from './candidate.ts';
import { type Obstacle, obstacle } from './constraints.ts';
import type { Policy, PolicyInput, Ranked } from './policy.ts';

/** What was decided and why. Holds no content, so that it can be kept, explained and replayed. */
export interface Decision<C extends Candidate> {
  readonly policy: string;
  readonly atMs: number;
  /** Best first; empty when nothing is allowed. */
  readonly ranked: readonly Ranked<C>[];
  /** Those that may not serve the request, and why. */
  readonly refused: readonly { readonly candidate: C; readonly obstacle: Obstacle }[];
}

/**
 * Filter, then rank. Everything that chooses a deployment for a request goes through here, retries and hedges too: what
 * is refused here is refused for good.
 */
export function decide<C extends Candidate>(policy: Policy, input: PolicyInput<C>): Decision<C> {
  const allowed: C[] = [];
  const refused: { candidate: C; obstacle: Obstacle }[] = [];
  for (const candidate of input.candidates) {
    const found = obstacle(candidate, input.request);
    if (found === undefined) allowed.push(candidate);
    else refused.push({ candidate, obstacle: found });
  }
  const ranked = allowed.length === 0 ? [] : policy.rank({ ...input, candidates: allowed });
  return { policy: policy.name, atMs: input.nowMs, ranked, refused };
}

import type { Candidate } from './candidate.ts';
import { estimate, expectedOutputTokens } from './estimate.ts';
import type { Fleet } from './fleet.ts';
import type { Ranked } from './policy.ts';
import type { RequestFeatures } from './request.ts';

/** A ranking with what is expected of the request at each candidate, also where the policy did not ask. For explanations. */
export function predicted<C extends Candidate>(
  ranked: readonly Ranked<C>[],
  fleet: Fleet,
  request: RequestFeatures,
  nowMs: number,
): readonly Ranked<C>[] {
  if (ranked.every(({ prediction }) => prediction !== undefined)) return ranked;
  const outputTokens = expectedOutputTokens(fleet, request);
  return ranked.map(
    (one): Ranked<C> =>
      one.prediction === undefined
        ? { ...one, prediction: estimate(fleet, one.candidate, request, outputTokens, nowMs).prediction }
        : one,
  );
}

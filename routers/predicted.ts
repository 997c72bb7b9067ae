import type { Candidate } from './candidate.ts';
import { estimate, expectedOutputTokens } from './estimate.ts';
import type { Ranked } from './policy.ts';
import type { RequestFeatures } from './request.ts';
import type { RoutingKnowledge } from './routing-knowledge.ts';

/** A ranking with what is expected of the request at each candidate, also where the policy did not ask. For explanations. */
export function predicted<C extends Candidate>(
  ranked: readonly Ranked<C>[],
  knowledge: RoutingKnowledge,
  request: RequestFeatures,
  nowMs: number,
): readonly Ranked<C>[] {
  if (ranked.every(({ prediction }) => prediction !== undefined)) return ranked;
  const outputTokens = expectedOutputTokens(knowledge, request);
  return ranked.map(
    (one): Ranked<C> =>
      one.prediction === undefined
        ? { ...one, prediction: estimate(knowledge, one.candidate, request, outputTokens, nowMs).prediction }
        : one,
  );
}

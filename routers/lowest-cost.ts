import type { Candidate } from './candidate.ts';
import { estimate, expectedOutputTokens } from './estimate.ts';
import type { Policy, PolicyInput, PolicyOptions, Ranked } from './policy.ts';
import { rankBy } from './ranking.ts';

/** Costs that differ by less than a ten-thousandth of a cent are equal; then the sooner one wins. */
const EQUAL_USD = 1e-6;
const MS_PER_MEANINGLESS_USD = 1e12;

/** The cheapest, as expected of this request: what is remembered of its prompt counts, where that is cheaper. */
export function lowestCost({ knowledge }: PolicyOptions): Policy {
  return {
    name: 'lowest-cost',
    rank<C extends Candidate>({ candidates, request, nowMs }: PolicyInput<C>): readonly Ranked<C>[] {
      const outputTokens = expectedOutputTokens(knowledge, request);
      return rankBy(candidates, (candidate) => {
        const { prediction } = estimate(knowledge, candidate, request, outputTokens, nowMs);
        const { costUsd, ttftMs } = prediction;
        const steps = Math.round(costUsd / EQUAL_USD) * EQUAL_USD;
        return { score: steps + ttftMs / MS_PER_MEANINGLESS_USD, parts: { costUsd, ttftMs }, prediction };
      });
    },
  };
}

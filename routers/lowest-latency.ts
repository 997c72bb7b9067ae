import type { Candidate } from './candidate.ts';
import { estimate, expectedOutputTokens } from './estimate.ts';
import type { Policy, PolicyInput, PolicyOptions, Ranked } from './policy.ts';
import { rankBy } from './ranking.ts';

/** The one that is expected to be done first, whatever it costs and whomever it delays. */
export function lowestLatency({ knowledge }: PolicyOptions): Policy {
  return {
    name: 'lowest-latency',
    rank<C extends Candidate>({ candidates, request, nowMs }: PolicyInput<C>): readonly Ranked<C>[] {
      const outputTokens = expectedOutputTokens(knowledge, request);
      return rankBy(candidates, (candidate) => {
        const { prediction } = estimate(knowledge, candidate, request, outputTokens, nowMs);
        const { ttftMs, tpotMs } = prediction;
        const outputMs = outputTokens * tpotMs;
        return { score: ttftMs + outputMs, parts: { ttftMs, outputMs }, prediction };
      });
    },
  };
}

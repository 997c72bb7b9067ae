import type { Candidate } from './candidate.ts';
import type { Policy, PolicyInput, Ranked } from './policy.ts';
import { rankBy } from './ranking.ts';

/** The one with the fewest requests under way; among equals at random, so that several gateways do not herd. */
export function leastInFlight(): Policy {
  return {
    name: 'least-in-flight',
    rank<C extends Candidate>({ candidates, random }: PolicyInput<C>): readonly Ranked<C>[] {
      return rankBy(candidates, ({ inFlight }) => ({ score: inFlight + random() / 2, parts: { inFlight } }));
    },
  };
}

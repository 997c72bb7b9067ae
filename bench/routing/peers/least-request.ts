import type { Candidate } from '../../../routers/candidate.ts';
import type { Policy, PolicyInput, Ranked } from '../../../routers/policy.ts';
import { rankBy } from '../../../routers/ranking.ts';

/** Envoy's and nginx's least request over all hosts: the fewest active requests, the first of equals. */
export function leastRequest(): Policy {
  return {
    name: 'least-request',
    rank<C extends Candidate>({ candidates }: PolicyInput<C>): readonly Ranked<C>[] {
      return rankBy(candidates, ({ inFlight }) => ({ score: inFlight }));
    },
  };
}

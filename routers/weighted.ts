import type { Candidate } from './candidate.ts';
import type { Policy, PolicyInput, Ranked } from './policy.ts';
import { rankBy } from './ranking.ts';

/**
 * At random, in proportion to the weights. A race of exponential clocks gives the runners-up their proportions too
 * (Efraimidis and Spirakis, Weighted random sampling with a reservoir).
 */
export function weighted(): Policy {
  return {
    name: 'weighted',
    rank<C extends Candidate>({ candidates, random }: PolicyInput<C>): readonly Ranked<C>[] {
      return rankBy(candidates, ({ weight = 1 }) => {
        const wait = -Math.log(1 - random());
        return { score: weight > 0 ? wait / weight : Number.MAX_VALUE, parts: { weight } };
      });
    },
  };
}

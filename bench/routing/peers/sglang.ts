import type { Candidate } from '../../../routers/candidate.ts';
import type { LifecycleEvent } from '../../../routers/lifecycle.ts';
import type { Policy, PolicyInput, Ranked } from '../../../routers/policy.ts';
import { rankBy } from '../../../routers/ranking.ts';
import type { PolicyContext, SimulatedRequest } from '../../../src/simulation/simulate.ts';
import { PrefixLru } from './prefix-lru.ts';

/** Its defaults; the tree's size is in characters there and large enough here not to matter. */
const CACHE_THRESHOLD = 0.5;
const BALANCE_ABS = 32;
const BALANCE_REL = 1.1;
const MAX_BLOCKS = 100_000;

/**
 * SGLang router's `cache_aware`: the shortest queue while loads are far apart; else the worker with the longest match
 * if that is more than half of the prompt, and otherwise the one whose tree is smallest.
 */
export function sglang(_: PolicyContext): Policy {
  const trees = new Map<string, PrefixLru>();
  const tree = (id: string) => {
    let known = trees.get(id);
    if (known === undefined) {
      known = new PrefixLru(MAX_BLOCKS);
      trees.set(id, known);
    }
    return known;
  };
  return {
    name: 'sglang',
    rank<C extends Candidate>({ candidates, request }: PolicyInput<C>): readonly Ranked<C>[] {
      const { blockIds, promptTokens } = (request as SimulatedRequest).trace;
      const loads = candidates.map(({ inFlight }) => inFlight);
      const most = Math.max(...loads);
      const least = Math.min(...loads);
      if (most - least > BALANCE_ABS && most > BALANCE_REL * least)
        return rankBy(candidates, ({ inFlight }) => ({ score: inFlight }));
      const matches = new Map(candidates.map(({ id }) => [id, tree(id).match(blockIds)]));
      const longest = Math.max(...matches.values());
      if ((longest * request.blockTokens) / promptTokens > CACHE_THRESHOLD)
        return rankBy(candidates, ({ id }) => ({ score: -matches.get(id)! }));
      return rankBy(candidates, ({ id }) => ({ score: tree(id).insertedTokens }));
    },
    observe({ type, dispatch }: LifecycleEvent) {
      if (type !== 'dispatched') return;
      const { blockIds, promptTokens } = (dispatch.request as SimulatedRequest).trace;
      tree(dispatch.deployment).insert(blockIds, promptTokens);
    },
  };
}

import type { Candidate } from '../../../routers/candidate.ts';
import type { DispatchInfo, LifecycleEvent } from '../../../routers/lifecycle.ts';
import type { Policy, PolicyInput, Ranked } from '../../../routers/policy.ts';
import { rankBy } from '../../../routers/ranking.ts';
import type { PolicyContext, SimulatedRequest } from '../../../src/simulation/simulate.ts';
import { BLOCK_TOKENS } from '../../../src/simulation/trace.ts';

interface Active {
  prefillTokens: number;
  readonly tokens: number;
}

/**
 * Dynamo's KV router with its defaults (overlap weight 1, temperature 0): prompt blocks to compute, those of requests
 * without a first token included, plus the blocks of all active sequences. Cache events are seen the moment they happen.
 */
export function dynamo({ engines }: PolicyContext): Policy {
  const active = new Map<DispatchInfo, Active>();
  const sums = new Map<string, { prefillTokens: number; tokens: number }>();
  const sumOf = (id: string) => {
    let sum = sums.get(id);
    if (sum === undefined) {
      sum = { prefillTokens: 0, tokens: 0 };
      sums.set(id, sum);
    }
    return sum;
  };
  const overlapTokens = (id: string, { trace }: SimulatedRequest) =>
    engines.get(id)!.cachedBlocks(trace) * BLOCK_TOKENS;
  return {
    name: 'dynamo',
    rank<C extends Candidate>({ candidates, request, random }: PolicyInput<C>): readonly Ranked<C>[] {
      const simulated = request as SimulatedRequest;
      return rankBy(candidates, ({ id }) => {
        const sum = sumOf(id);
        const uncached = request.promptTokens - overlapTokens(id, simulated);
        const prefillBlocks = (sum.prefillTokens + uncached) / BLOCK_TOKENS;
        const decodeBlocks = (sum.tokens + request.promptTokens) / BLOCK_TOKENS;
        return { score: prefillBlocks + decodeBlocks + random() * 1e-9 };
      });
    },
    observe({ type, dispatch }: LifecycleEvent) {
      const sum = sumOf(dispatch.deployment);
      const simulated = dispatch.request as SimulatedRequest;
      if (type === 'dispatched') {
        const { promptTokens } = simulated;
        const prefillTokens = Math.max(0, promptTokens - overlapTokens(dispatch.deployment, simulated));
        active.set(dispatch, { prefillTokens, tokens: promptTokens });
        sum.prefillTokens += prefillTokens;
        sum.tokens += promptTokens;
        return;
      }
      const known = active.get(dispatch);
      if (known === undefined) return;
      sum.prefillTokens -= known.prefillTokens;
      known.prefillTokens = 0;
      if (type === 'first-token') return;
      sum.tokens -= known.tokens;
      active.delete(dispatch);
    },
  };
}

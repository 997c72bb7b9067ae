import type { Candidate } from '../../../routers/candidate.ts';
import type { LifecycleEvent } from '../../../routers/lifecycle.ts';
import type { Policy, PolicyInput, Ranked } from '../../../routers/policy.ts';
import { rankBy } from '../../../routers/ranking.ts';
import type { PolicyContext, SimulatedRequest } from '../../../src/simulation/simulate.ts';
import { BLOCK_TOKENS } from '../../../src/simulation/trace.ts';
import { PrefixLru } from './prefix-lru.ts';

/** Weights of the chart's default profile. */
const WEIGHTS = { queue: 2, kvCache: 2, prefix: 3 };
/** As many tokens as its 31,250 blocks of 16. */
const LRU_BLOCKS = Math.floor((31_250 * 16) / BLOCK_TOKENS);

/**
 * llm-d's and the Gateway API Inference Extension's default profile: queue length (min–max normalised over the
 * endpoints), free KV memory, and the matched share of the prompt, weighted; the highest sum wins, equal ones by chance.
 * Metrics are as old as the last scrape; the prefix memory is its approximate one.
 */
export function gie({ engines }: PolicyContext): Policy {
  const memories = new Map<string, PrefixLru>();
  const memory = (id: string) => {
    let known = memories.get(id);
    if (known === undefined) {
      known = new PrefixLru(LRU_BLOCKS);
      memories.set(id, known);
    }
    return known;
  };
  return {
    name: 'gie',
    rank<C extends Candidate>({ candidates, request, random }: PolicyInput<C>): readonly Ranked<C>[] {
      const { blockIds, promptTokens } = (request as SimulatedRequest).trace;
      const queues = candidates.map(({ id }) => engines.get(id)!.scraped.waiting);
      const longest = Math.max(...queues);
      const shortest = Math.min(...queues);
      const total = Math.max(1, Math.floor(promptTokens / BLOCK_TOKENS));
      return rankBy(candidates, ({ id }, i) => {
        const queue = longest === shortest ? 1 : (longest - queues[i]!) / (longest - shortest);
        const kvCache = 1 - engines.get(id)!.scraped.kvUsage;
        const prefix = memory(id).match(blockIds) / total;
        const sum = WEIGHTS.queue * queue + WEIGHTS.kvCache * kvCache + WEIGHTS.prefix * prefix;
        return { score: -sum + random() * 1e-9 };
      });
    },
    observe({ type, dispatch }: LifecycleEvent) {
      if (type !== 'dispatched') return;
      const { blockIds, promptTokens } = (dispatch.request as SimulatedRequest).trace;
      memory(dispatch.deployment).insert(blockIds, promptTokens);
    },
  };
}

import type { Candidate } from './candidate.ts';
import type { Policy, PolicyInput, PolicyOptions, Ranked } from './policy.ts';
import { rankBy } from './ranking.ts';

/** What one request under way weighs, in prompt tokens: without it whoever remembers the shared beginning gets everything. */
const TOKENS_PER_REQUEST = 128;

/**
 * The fewest prompt tokens to compute before the first token: those of the request that are not remembered, and those
 * of the requests ahead. So a memory is worth as much as it saves, and a queue costs what it holds. Counts, learns no speeds.
 */
export function prefixCacheAware({ knowledge }: PolicyOptions): Policy {
  return {
    name: 'prefix-cache-aware',
    rank<C extends Candidate>({ candidates, request, nowMs, random }: PolicyInput<C>): readonly Ranked<C>[] {
      return rankBy(candidates, ({ id, inFlight }) => {
        const { blocks, kept } = knowledge.prefixes.match(id, request.blocks);
        const uncached = Math.max(1, request.promptTokens - blocks * kept * request.blockTokens);
        const queued = knowledge.state(id).workAhead(nowMs).tokens;
        const score = uncached + queued + TOKENS_PER_REQUEST * (inFlight + random() / 2);
        return { score, parts: { uncached, queued, inFlight } };
      });
    },
  };
}

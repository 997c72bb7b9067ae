import type { Candidate } from './candidate.ts';
import type { Policy, PolicyInput, Ranked } from './policy.ts';
import { isOpen, rankBy } from './ranking.ts';

/**
 * Two at random, and of them the one with fewer requests under way (Mitzenmacher, The power of two choices): nearly as
 * even as looking at all, and safe where what is known of the load is old. The others follow by load, for retries.
 */
export function powerOfTwo(): Policy {
  return {
    name: 'power-of-two',
    rank<C extends Candidate>({ candidates, random }: PolicyInput<C>): readonly Ranked<C>[] {
      const open = candidates.flatMap((candidate, index) => (isOpen(candidate) ? index : []));
      const first = pick(open, random);
      const second = pick(
        open.filter((index) => index !== first),
        random,
      );
      return rankBy(candidates, ({ inFlight }, index) => {
        const drawn = index === first || index === second;
        // Those that were not drawn come after both.
        return { score: drawn ? inFlight - 1e9 : inFlight, parts: { inFlight, drawn: drawn ? 1 : 0 } };
      });
    },
  };
}

function pick(from: readonly number[], random: () => number): number | undefined {
  return from[Math.floor(random() * from.length)];
}

import type { Candidate } from './candidate.ts';
import type { Policy, PolicyInput, Ranked } from './policy.ts';
import { rankBy } from './ranking.ts';

/** What is remembered of candidates that are gone may be this many times what is there. */
const MAX_REMEMBERED = 4;

/** Whoever has waited longest for a turn is next, so that turns stay even when the candidates are not always the same. */
export function roundRobin(): Policy {
  const lastTurn = new Map<string, number>();
  let turn = 0;
  return {
    name: 'round-robin',
    rank<C extends Candidate>({ candidates }: PolicyInput<C>): readonly Ranked<C>[] {
      const ranked = rankBy(candidates, ({ id }) => ({ score: lastTurn.get(id) ?? 0 }));
      const [first] = ranked;
      if (first === undefined) return ranked;
      if (lastTurn.size > MAX_REMEMBERED * candidates.length + MAX_REMEMBERED) lastTurn.clear();
      turn += 1;
      lastTurn.set(first.candidate.id, turn);
      return ranked;
    },
  };
}

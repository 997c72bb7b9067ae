import type { Candidate, Policy, PolicyInput } from './policy.ts';

/** What is remembered of candidates that are gone may be this many times what is there. */
const MAX_REMEMBERED = 4;

/**
 * Whoever has waited longest for a turn is next, so that turns stay even when the candidates are not always the same.
 * Those that are not ready come last, in the same order: when nothing is ready, trying one beats refusing.
 */
export function roundRobin(): Policy {
  const lastTurn = new Map<string, number>();
  let turn = 0;
  return {
    name: 'round-robin',
    rank<C extends Candidate>({ candidates }: PolicyInput<C>): readonly C[] {
      const waited = [...candidates].sort((a, b) => (lastTurn.get(a.id) ?? 0) - (lastTurn.get(b.id) ?? 0));
      const ranked = [...waited.filter((c) => c.ready), ...waited.filter((c) => !c.ready)];
      const [first] = ranked;
      if (first === undefined) return ranked;
      if (lastTurn.size > MAX_REMEMBERED * candidates.length + MAX_REMEMBERED) lastTurn.clear();
      turn += 1;
      lastTurn.set(first.id, turn);
      return ranked;
    },
  };
}

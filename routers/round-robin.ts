import type { Candidate, Policy, PolicyInput } from './policy.ts';

/**
 * Each call starts one candidate further. Candidates that are not ready come last, in the same order: when nothing is
 * ready, trying one beats refusing.
 */
export function roundRobin(): Policy {
  let next = 0;
  return {
    name: 'round-robin',
    rank<C extends Candidate>({ candidates }: PolicyInput<C>): readonly C[] {
      const start = next++ % Math.max(1, candidates.length);
      const turned = [...candidates.slice(start), ...candidates.slice(0, start)];
      return [...turned.filter((c) => c.ready), ...turned.filter((c) => !c.ready)];
    },
  };
}

import type { Candidate } from './candidate.ts';
import type { Prediction, Ranked } from './policy.ts';

export interface Scored {
  readonly score: number;
  readonly parts?: Readonly<Record<string, number>>;
  readonly prediction?: Prediction;
}

const NO_PARTS = {};

/**
 * Orders by score within three classes that no score crosses: ready with room, ready and full, not ready. Load
 * never takes the last way out: who is full or down comes last but stays in the list.
 */
export function rankBy<C extends Candidate>(
  candidates: readonly C[],
  score: (candidate: C, index: number) => Scored,
): Ranked<C>[] {
  const ranked = candidates.map((candidate, index): Ranked<C> => {
    const { score: value, parts = NO_PARTS, prediction } = score(candidate, index);
    return prediction === undefined
      ? { candidate, score: value, parts }
      : { candidate, score: value, parts, prediction };
  });
  return ranked.sort((a, b) => order(a.candidate) - order(b.candidate) || a.score - b.score || 0);
}

/** Whether it would take the request at once, as far as is known. */
export function isOpen(candidate: Candidate): boolean {
  return order(candidate) === 0;
}

function order({ ready, capacity, inFlight }: Candidate): number {
  if (!ready) return 2;
  return capacity !== undefined && inFlight >= capacity ? 1 : 0;
}

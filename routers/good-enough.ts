import type { Candidate } from './candidate.ts';
import type { Policy, PolicyInput, Ranked } from './policy.ts';

/**
 * A policy's order, except that where less will do (`enoughBelow`) those that are no better than needed come first,
 * and the others behind them: what a good deployment would be worth is no reason to trouble it. Called with
 * candidates that have room.
 */
export function goodEnoughFirst<C extends Candidate>(
  policy: Policy,
  input: PolicyInput<C>,
): readonly Ranked<C>[] {
  const { candidates, request } = input;
  const { enoughBelow } = request;
  if (enoughBelow === undefined) return policy.rank(input);
  const isEnough = ({ quality = 1 }: C) => quality < enoughBelow;
  const enough = candidates.filter(isEnough);
  if (enough.length === 0 || enough.length === candidates.length) return policy.rank(input);
  const better = candidates.filter((one) => !isEnough(one));
  return [...policy.rank({ ...input, candidates: enough }), ...policy.rank({ ...input, candidates: better })];
}

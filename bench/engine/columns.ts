import type { Figure } from './figures.ts';
import type { Contestant, Round } from './round.ts';
import type { Served } from './served.ts';

/** One value per round, where it was measured. */
export type Column = readonly (number | undefined)[];

export function bareColumn(rounds: readonly Round[], contestant: Contestant, name: string): Column {
  return rounds.map((round) => figure(round.bare[contestant], name));
}

function figure(figures: readonly Figure[] | undefined, name: string): number | undefined {
  return figures?.find((each) => each.name === name)?.tokensPerSecond;
}

export function servedColumn(
  rounds: readonly Round[],
  contestant: Contestant,
  read: (served: Served) => number | undefined,
): Column {
  return rounds.map(({ served }) => {
    const one = served[contestant];
    return one && read(one);
  });
}

/** What arrives over HTTP, as a share of what the engine computes without its server. */
export function shareServedColumn(rounds: readonly Round[], clients: number | string): Column {
  return rounds.map(({ shares }) => shares?.[clients]);
}

/** Within each round. */
export function ratioColumn(ours: Column, theirs: Column): Column {
  return ours.map((value, i) => {
    const other = theirs[i];
    return value === undefined || other === undefined || other === 0 ? undefined : value / other;
  });
}

export function present(values: Column): number[] {
  return values.filter((value) => value !== undefined && value > 0).sort((a, b) => a! - b!) as number[];
}

/** Of at least one. */
export function median(ascending: readonly number[]): number {
  const middle = (ascending.length - 1) / 2;
  return (ascending[Math.floor(middle)]! + ascending[Math.ceil(middle)]!) / 2;
}

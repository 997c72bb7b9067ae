import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';
import { invalid } from './terms.ts';

/** Of what all projects share; see `Project`. */
export interface Share {
  readonly weight: number;
  readonly priority: number;
}

export const DEFAULT_SHARE: Share = { weight: 1, priority: 0 };
export const LEAST_WEIGHT = 0.001;
export const MOST_WEIGHT = 1_000;

/**
 * The share of a project that an organization makes by itself: as much of the organization's weight as each of its
 * projects then has on average, taken from all of them, and the worst priority that any of them ever had. However
 * many projects it makes or ends, together they have what the operator gave them.
 *
 * @throws AppError `invalid_value` where too little would be left for one.
 */
export async function takeOwnShare(transaction: Kysely<Schema>, organizationId: string): Promise<Share> {
  const all = await transaction
    .selectFrom('project')
    .select(['id', 'weight', 'priority', 'archived_at_ms'])
    .where('organization_id', '=', organizationId)
    .orderBy('archived_at_ms')
    .execute();
  if (all.length === 0) return DEFAULT_SHARE;
  const priority = Math.max(...all.map((project) => project.priority));
  const live = all.filter((project) => project.archived_at_ms === null);
  // The last one that it ended had all of it.
  if (live.length === 0) return { weight: all.at(-1)!.weight, priority };
  const part = live.length / (live.length + 1);
  const weight = sumOf(live) / (live.length + 1);
  if (Math.min(weight, ...live.map((project) => project.weight * part)) < LEAST_WEIGHT)
    throw invalid(
      'organizationId',
      'has so many projects that too little of its share would be left for one',
    );
  await scale(transaction, live, part);
  return { weight, priority };
}

/** What a project had that an organization ends by itself goes to its others. */
export async function leaveOwnShare(transaction: Kysely<Schema>, projectId: string): Promise<void> {
  const live = await transaction
    .selectFrom('project')
    .select(['id', 'weight'])
    .where('archived_at_ms', 'is', null)
    .where('organization_id', '=', ({ selectFrom }) =>
      selectFrom('project').select('organization_id').where('id', '=', projectId),
    )
    .execute();
  const others = live.filter(({ id }) => id !== projectId);
  if (others.length > 0 && others.length < live.length)
    await scale(transaction, others, sumOf(live) / sumOf(others));
}

function sumOf(projects: readonly { readonly weight: number }[]): number {
  return projects.reduce((sum, { weight }) => sum + weight, 0);
}

async function scale(
  transaction: Kysely<Schema>,
  projects: readonly { readonly id: string; readonly weight: number }[],
  factor: number,
): Promise<void> {
  for (const { id, weight } of projects) {
    const scaled = Math.min(MOST_WEIGHT, weight * factor);
    await transaction.updateTable('project').set({ weight: scaled }).where('id', '=', id).execute();
  }
}

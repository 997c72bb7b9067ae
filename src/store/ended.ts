import type { Database } from './database.ts';

/** Ids of what opens no door any more. */
export interface Ended {
  readonly keys: ReadonlySet<string>;
  readonly projects: ReadonlySet<string>;
  readonly organizations: ReadonlySet<string>;
}

/** What was revoked or archived at that time or later, by the clocks of those who did it. */
export async function endedSince({ kysely }: Database, sinceMs: number): Promise<Ended> {
  const [keys, projects, organizations] = await Promise.all([
    kysely.selectFrom('api_key').select('id').where('revoked_at_ms', '>=', sinceMs).execute(),
    kysely.selectFrom('project').select('id').where('archived_at_ms', '>=', sinceMs).execute(),
    kysely.selectFrom('organization').select('id').where('archived_at_ms', '>=', sinceMs).execute(),
  ]);
  return { keys: idsOf(keys), projects: idsOf(projects), organizations: idsOf(organizations) };
}

function idsOf(rows: readonly { readonly id: string }[]): ReadonlySet<string> {
  return new Set(rows.map(({ id }) => id));
}

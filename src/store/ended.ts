import type { Database } from './database.ts';

/** What opens no door any more, or only for a while: by id, and secrets by their hash in base64url, with their end in Unix milliseconds. */
export interface Ended {
  readonly keys: ReadonlySet<string>;
  readonly projects: ReadonlySet<string>;
  readonly organizations: ReadonlySet<string>;
  readonly secrets: ReadonlyMap<string, number>;
}

/** What was revoked or archived at that time or later, and secrets of rotated keys that end then or later, by the clocks of those who did it. */
export async function endedSince({ kysely }: Database, sinceMs: number): Promise<Ended> {
  const [keys, projects, organizations, secrets] = await Promise.all([
    kysely.selectFrom('api_key').select('id').where('revoked_at_ms', '>=', sinceMs).execute(),
    kysely.selectFrom('project').select('id').where('archived_at_ms', '>=', sinceMs).execute(),
    kysely.selectFrom('organization').select('id').where('archived_at_ms', '>=', sinceMs).execute(),
    kysely
      .selectFrom('api_key_secret')
      .select(['hash', 'expires_at_ms'])
      .where('expires_at_ms', '>=', sinceMs)
      .execute(),
  ]);
  return {
    keys: idsOf(keys),
    projects: idsOf(projects),
    organizations: idsOf(organizations),
    secrets: new Map(secrets.map((one) => [one.hash.toString('base64url'), one.expires_at_ms!])),
  };
}

function idsOf(rows: readonly { readonly id: string }[]): ReadonlySet<string> {
  return new Set(rows.map(({ id }) => id));
}

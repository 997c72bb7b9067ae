import type { Kysely, Selectable } from 'kysely';
import type { Database } from './database.ts';
import { changingKeys } from './revision.ts';
import type { Schema } from './schema.ts';

type Archived = 'organization' | 'project';

/**
 * What is archived stays where it is, as the ledger points to it.
 *
 * @param check Called first, in the same transaction; if it throws, nothing is archived.
 * @returns Whether there was one that was not archived yet
 */
export async function archive(
  database: Database,
  table: Archived,
  id: string,
  nowMs: number,
  check: (transaction: Kysely<Schema>) => Promise<void> = async () => {},
): Promise<boolean> {
  const { numUpdatedRows } = await changingKeys(database, async (transaction) => {
    await check(transaction);
    return transaction
      .updateTable(table)
      .set({ archived_at_ms: nowMs })
      .where('id', '=', id)
      .where('archived_at_ms', 'is', null)
      .executeTakeFirstOrThrow();
  });
  return numUpdatedRows > 0n;
}

/** Undefined: there is none, or it is archived. */
export async function unarchived<T extends Archived>(
  kysely: Kysely<Schema>,
  table: T,
  where: Partial<Selectable<Schema[T]>>,
): Promise<Selectable<Schema[T]> | undefined> {
  const row = await kysely
    .selectFrom(table as Archived)
    .selectAll()
    .where(({ and }) => and({ ...where, archived_at_ms: null }))
    .executeTakeFirst();
  return row as Selectable<Schema[T]> | undefined;
}

/** Undefined: there is none, or it is archived, be it with its organization. */
export async function openProject(
  kysely: Kysely<Schema>,
  where: Partial<Selectable<Schema['project']>>,
): Promise<Selectable<Schema['project']> | undefined> {
  const project = await unarchived(kysely, 'project', where);
  return project && (await unarchived(kysely, 'organization', { id: project.organization_id })) && project;
}

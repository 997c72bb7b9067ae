import type { Kysely } from 'kysely';
import type { Database } from './database.ts';
import type { Schema } from './schema.ts';
import { inTransaction } from './transaction.ts';

/** Changes whenever something about organizations, projects or keys has changed. */
export async function keyRevision({ kysely }: Database): Promise<number> {
  const { revision } = await kysely.selectFrom('key_revision').select('revision').executeTakeFirstOrThrow();
  return revision;
}

/** Every change of organizations, projects and keys happens in here. They happen one after the other: the row that counts them is locked. */
export function changingKeys<T>(
  database: Database,
  work: (transaction: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  if (database.isChanging) return work(database.kysely);
  return inTransaction(database, async (transaction) => {
    await transaction
      .updateTable('key_revision')
      .set(({ eb }) => ({ revision: eb('revision', '+', 1) }))
      .execute();
    return work(transaction);
  });
}

/** Several such changes at once, all of them or none. */
export function changingTogether<T>(
  database: Database,
  work: (together: Database) => Promise<T>,
): Promise<T> {
  return changingKeys(database, (kysely) => work({ ...database, kysely, isChanging: true }));
}

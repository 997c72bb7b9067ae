import { type Kysely, sql } from 'kysely';
import type { Database } from './database.ts';
import { MIGRATIONS } from './migrations.ts';
import type { Schema } from './schema.ts';
import { inTransaction } from './transaction.ts';

/** Any number that nothing else on the server uses: only migrations wait for it. */
const ADVISORY_LOCK = 7_146_626;

/** Whether the database has seen all changes. @throws Error if it has seen some that this code does not know */
export async function isMigrated(database: Database, migrations = MIGRATIONS): Promise<boolean> {
  return (
    (await hasSeenAny(database)) && (await seen(database.kysely, migrations.length)) === migrations.length
  );
}

/**
 * Makes the changes that the database has not seen, in order and all in one transaction: a second process waits, and
 * then finds nothing to do.
 *
 * @throws Error if the database has seen changes that this code does not know
 */
export async function migrate(
  database: Database,
  migrations = MIGRATIONS,
  now: () => number = Date.now,
): Promise<void> {
  if (await isMigrated(database, migrations)) return;
  await inTransaction(database, async (transaction) => {
    if (database.kind === 'postgres')
      await sql`select pg_advisory_xact_lock(${ADVISORY_LOCK})`.execute(transaction);
    await transaction.schema
      .createTable('schema_migration')
      .ifNotExists()
      .addColumn('number', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('applied_at_ms', 'bigint', (column) => column.notNull())
      .execute();
    const done = await seen(transaction, migrations.length);
    for (const [i, { name, up }] of migrations.entries()) {
      if (i < done) continue;
      await up(transaction, database.kind);
      const row = { number: i + 1, name, applied_at_ms: now() };
      await transaction.insertInto('schema_migration').values(row).execute();
    }
  });
}

async function hasSeenAny({ kind, kysely }: Database): Promise<boolean> {
  const { rows } =
    kind === 'sqlite'
      ? await sql`select 1 from sqlite_schema where name = 'schema_migration'`.execute(kysely)
      : await sql`select 1 where to_regclass('schema_migration') is not null`.execute(kysely);
  return rows.length > 0;
}

/** How many migrations the database has seen. */
async function seen(kysely: Kysely<Schema>, known: number): Promise<number> {
  const { last } = await kysely
    .selectFrom('schema_migration')
    .select(({ fn }) => fn.max('number').as('last'))
    .executeTakeFirstOrThrow();
  if ((last ?? 0) > known)
    throw new Error(
      `it was last used by a newer qianmen (its tables are of version ${last}, this one knows ${known}). Start the newer one again, ` +
        'or go back to a backup from before',
    );
  return last ?? 0;
}

import { type Kysely, sql } from 'kysely';
import { retryWhileContended } from './contention.ts';
import type { Database } from './database.ts';
import type { Schema } from './schema.ts';

/** All of it or nothing. It runs again where another transaction was in the way. */
export async function inTransaction<T>(
  { kind, kysely, timeoutMs }: Database,
  work: (transaction: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  const inSqlite = () =>
    kysely.connection().execute(async (connection) => {
      // At once for writing: a lock that is only taken at the first write may come too late for what was read before.
      await sql`begin immediate`.execute(connection);
      try {
        const result = await work(connection);
        await sql`commit`.execute(connection);
        return result;
      } catch (error) {
        // SQLite itself has rolled back where the disk is full.
        await sql`rollback`.execute(connection).catch(() => {});
        throw error;
      }
    });
  const inPostgres = () => kysely.transaction().execute(work);
  return retryWhileContended(kind === 'sqlite' ? inSqlite : inPostgres, timeoutMs);
}

import { type Kysely, sql } from 'kysely';
import type { Database } from './database.ts';
import { retryWhileLocked } from './locked.ts';
import type { Schema } from './schema.ts';

/** All of it or nothing. It may run again if it could not begin. */
export async function inTransaction<T>(
  { kind, kysely, timeoutMs }: Database,
  work: (transaction: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  if (kind === 'postgres') return kysely.transaction().execute(work);
  const once = () =>
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
  return retryWhileLocked(once, timeoutMs);
}

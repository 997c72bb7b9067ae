import { retryWhileContended } from '../store/contention.ts';
import type { Database } from '../store/database.ts';
import { insertOldRows } from './insert-old.ts';
import { insertIntoPostgres } from './insert-postgres.ts';
import { insertIntoSqlite } from './insert-sqlite.ts';
import { isOldRow } from './old-row.ts';
import type { JournalRow, RefusedRow } from './refused.ts';
import type { AttemptRow } from './row.ts';

/**
 * Adds rows, and what they cost to `spent`, in one transaction. Those that are there already change nothing.
 *
 * @returns Those that the database refuses for good; all others are in.
 * @throws Error for everything else. What is in nevertheless changes nothing when it comes again
 */
export async function insertRows(
  database: Database,
  rows: readonly JournalRow[],
): Promise<readonly RefusedRow[]> {
  if (rows.length === 0) return [];
  // A journal has rows of one kind; only those that are set aside are mixed.
  const old = rows.filter(isOldRow);
  if (old.length > 0) {
    const refused = await insertOldRows(database, old);
    return [
      ...refused,
      ...(await insertRows(
        database,
        rows.filter((row) => !isOldRow(row)),
      )),
    ];
  }
  const { kysely, sqlite, timeoutMs } = database;
  const attempts = rows as readonly AttemptRow[];
  return sqlite === undefined
    ? insertIntoPostgres(kysely, timeoutMs, attempts)
    : retryWhileContended(() => insertIntoSqlite(sqlite, attempts), timeoutMs);
}

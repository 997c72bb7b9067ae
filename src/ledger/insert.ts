import { retryWhileContended } from '../store/contention.ts';
import type { Database } from '../store/database.ts';
import { insertIntoPostgres } from './insert-postgres.ts';
import { insertIntoSqlite } from './insert-sqlite.ts';
import type { JournalRecord } from './record.ts';
import type { LedgerRow, RefusedRow } from './row.ts';

/**
 * Adds rows, and what they cost to `spent`, all in one transaction. Those that are there already change nothing.
 *
 * @returns Those that the database refuses for good; all others are in.
 * @throws Error for everything else. What is in nevertheless changes nothing when it comes again
 */
export async function insertRecords(
  { kysely, sqlite, timeoutMs }: Database,
  records: readonly JournalRecord['rows'][],
): Promise<readonly RefusedRow[]> {
  const rows = JSON.parse(`[${records.filter((text) => text !== '').join(',')}]`) as readonly LedgerRow[];
  if (rows.length === 0) return [];
  if (sqlite === undefined) return insertIntoPostgres(kysely, timeoutMs, rows);
  return retryWhileContended(() => insertIntoSqlite(sqlite, rows), timeoutMs);
}

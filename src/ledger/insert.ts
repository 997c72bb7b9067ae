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
  const some = records.filter((text) => text !== '');
  if (some.length === 0) return [];
  if (sqlite === undefined) return insertIntoPostgres(kysely, timeoutMs, parse(some));
  return retryWhileContended(() => insertIntoSqlite(sqlite, someAtATime(some)), timeoutMs);
}

/** What is short-lived costs the garbage collector little. */
const AT_A_TIME = 100;

function* someAtATime(records: readonly JournalRecord['rows'][]): Iterable<readonly LedgerRow[]> {
  for (let i = 0; i < records.length; i += AT_A_TIME) yield parse(records.slice(i, i + AT_A_TIME));
}

function parse(records: readonly JournalRecord['rows'][]): readonly LedgerRow[] {
  return JSON.parse(`[${records.join(',')}]`);
}

import { sql } from 'kysely';
import { retryWhileContended } from '../store/contention.ts';
import type { Database } from '../store/database.ts';
import { countLateInPostgres } from './insert-postgres.ts';
import { countLateInSqlite } from './insert-sqlite.ts';

/** A transaction takes at most this many, so as not to hold up others. */
const MOST = 1_000;

/**
 * Adds to `spent` the cost of rows that are not counted yet: while gateways are upgraded one by one, those from
 * before there were sums still add some. Any number of gateways may do so at once.
 *
 * @throws Error of the database. What is counted is counted once, and what is not is found again
 */
export async function countLateRows({ kysely, sqlite, timeoutMs }: Database): Promise<void> {
  // The index holds late ones only: where there are none this costs nothing.
  const anyLate = sql`select 1 from ledger where counted = 0 limit 1`;
  while ((await anyLate.execute(kysely)).rows.length > 0)
    if (sqlite === undefined) await countLateInPostgres(kysely, timeoutMs, MOST);
    else await retryWhileContended(() => countLateInSqlite(sqlite, MOST), timeoutMs);
}

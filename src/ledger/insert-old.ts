import { retryWhileContended } from '../store/contention.ts';
import type { Database } from '../store/database.ts';
import type { Schema } from '../store/schema.ts';
import { countLateRows } from './late-rows.ts';
import { OLD_COLUMNS, type OldRow } from './old-row.ts';
import { insertByHalves } from './refusal.ts';
import type { RefusedRow } from './refused.ts';

/** A statement of SQLite takes 32,766 parameters. */
const AT_A_TIME = 1_000;

/** Adds rows to the table that was there before, as gateways of that time would have, and counts them. */
export async function insertOldRows(
  database: Database,
  rows: readonly OldRow[],
): Promise<readonly RefusedRow[]> {
  const refused: RefusedRow[] = [];
  for (let i = 0; i < rows.length; i += AT_A_TIME)
    refused.push(
      ...(await insertByHalves(rows.slice(i, i + AT_A_TIME), (some) =>
        retryWhileContended(() => insert(database, some), database.timeoutMs),
      )),
    );
  await countLateRows(database);
  return refused;
}

/** In order, so that of two that bring the same rows one waits for the other, and not each for the other. */
function insert({ kysely }: Database, rows: readonly OldRow[]): Promise<unknown> {
  const values = rows
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map((row) => Object.fromEntries(OLD_COLUMNS.map((name, i) => [name, row[i]])));
  return kysely
    .insertInto('ledger')
    .values(values as unknown as Omit<Schema['ledger'], 'counted'>[] as Schema['ledger'][])
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
}

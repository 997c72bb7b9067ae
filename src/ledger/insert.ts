import { sql } from 'kysely';
import { retryWhileContended } from '../store/contention.ts';
import type { Database } from '../store/database.ts';
import type { JournalRecord } from './record.ts';
import type { LedgerRow } from './row.ts';

/** In the order of `LedgerRow`. */
const COLUMNS = [
  ['id', 'text'],
  ['at_ms', 'bigint'],
  ['organization_id', 'text'],
  ['project_id', 'text'],
  ['key_id', 'text'],
  ['request_id', 'text'],
  ['endpoint', 'text'],
  ['model', 'text'],
  ['deployment', 'text'],
  ['kind', 'text'],
  ['outcome', 'text'],
  ['measured', 'integer'],
  ['prompt_tokens', 'bigint'],
  ['cached_tokens', 'bigint'],
  ['completion_tokens', 'bigint'],
  ['reasoning_tokens', 'bigint'],
  ['cost_nano_usd', 'bigint'],
  ['waste_nano_usd', 'bigint'],
  ['duration_ms', 'bigint'],
] as const;

/** Adds rows; those that are there already change nothing. */
export function insertRows(database: Database, rows: readonly LedgerRow[]): Promise<void> {
  return insertJson(database, JSON.stringify(rows));
}

/** The same for rows as a journal has them: they travel as they are, in one parameter of one statement. */
export async function insertRecords(
  database: Database,
  rows: readonly JournalRecord['rows'][],
): Promise<void> {
  const some = rows.filter((text) => text !== '');
  if (some.length > 0) await insertJson(database, `[${some.join(',')}]`);
}

async function insertJson({ kysely, kind, timeoutMs }: Database, json: string): Promise<void> {
  const names = sql.join(COLUMNS.map(([name]) => sql.ref(name)));
  const values =
    kind === 'sqlite'
      ? sql`select ${sql.join(COLUMNS.map((_, i) => sql`value ->> ${sql.lit(i)}`))} from json_each(${json}) where true`
      : sql`select ${sql.join(COLUMNS.map(([, type], i) => sql`(value ->> ${sql.lit(i)})::${sql.raw(type)}`))}
          from json_array_elements(${json}::json)`;
  const insert = sql`insert into ledger (${names}) ${values} on conflict (id) do nothing`;
  await retryWhileContended(() => insert.execute(kysely), timeoutMs);
}

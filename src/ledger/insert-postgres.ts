import { type Kysely, type RawBuilder, sql } from 'kysely';
import { retryWhileContended } from '../store/contention.ts';
import type { Schema } from '../store/schema.ts';
import { COLUMNS, type LedgerRow, type RefusedRow } from './row.ts';

/** Of PostgreSQL: a value that no column takes, or that breaks a rule of the table. */
const REFUSED = /^2[23]...$/;

/** One statement: rows travel as JSON in one parameter. Where it is refused, halves are tried, until it is known whose fault it is. */
export async function insertIntoPostgres(
  kysely: Kysely<Schema>,
  timeoutMs: number,
  rows: readonly LedgerRow[],
): Promise<readonly RefusedRow[]> {
  try {
    await retryWhileContended(() => insertAll(kysely, rows), timeoutMs);
    return [];
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: unknown };
    if (!REFUSED.test(String(code))) throw error;
    if (rows.length === 1) return [{ row: rows[0]!, reason: message }];
    const half = Math.ceil(rows.length / 2);
    const first = await insertIntoPostgres(kysely, timeoutMs, rows.slice(0, half));
    return [...first, ...(await insertIntoPostgres(kysely, timeoutMs, rows.slice(half)))];
  }
}

/** In order, so that of two that bring the same rows one waits for the other and not each for each. */
async function insertAll(kysely: Kysely<Schema>, rows: readonly LedgerRow[]): Promise<void> {
  const names = sql.join(COLUMNS.map(([name]) => sql.ref(name)));
  const values = sql.join(COLUMNS.map(([, type], i) => sql`(value ->> ${sql.lit(i)})::${sql.raw(type)}`));
  await spend(
    kysely,
    sql`
      insert into ledger (${names}, counted)
      select ${values}, 1 from json_array_elements(${JSON.stringify(rows)}::json) order by 1
      on conflict (id) do nothing`,
  );
}

/** See `countLateRows`. Of several that count at once each waits for the one before, and leaves out what that has counted. */
export async function countLateInPostgres(
  kysely: Kysely<Schema>,
  timeoutMs: number,
  most: number,
): Promise<void> {
  const late = sql`select id from ledger where counted = 0 order by id limit ${sql.lit(most)} for update`;
  const count = sql`update ledger set counted = 1 where id in (${late})`;
  await retryWhileContended(() => spend(kysely, count), timeoutMs);
}

/** Changes rows, and adds what they cost to `spent`; that in order, too. */
async function spend(kysely: Kysely<Schema>, change: RawBuilder<unknown>): Promise<void> {
  await sql`
    with changed as (
      ${change} returning to_timestamp(at_ms / 1000) at time zone 'UTC' as at, organization_id, project_id, key_id, model, cost_nano_usd
    )
    insert into spent (period, organization_id, project_id, key_id, model, nano_usd)
    select period, organization_id, project_id, key_id, model, sum(cost_nano_usd)
    from changed, lateral (values (to_char(at, 'YYYY-MM-DD')), (to_char(at, 'YYYY-MM'))) as periods (period)
    where cost_nano_usd > 0
    group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
    on conflict (period, organization_id, project_id, key_id, model)
    do update set nano_usd = spent.nano_usd + excluded.nano_usd`.execute(kysely);
}

import { type Kysely, type RawBuilder, sql } from 'kysely';
import { retryWhileContended } from '../store/contention.ts';
import type { Schema } from '../store/schema.ts';
import type { AttemptLabel } from './label.ts';
import { insertByHalves } from './refusal.ts';
import type { RefusedRow } from './refused.ts';
import type { AttemptRow } from './row.ts';

/** Rows travel as JSON in one parameter. */
export function insertIntoPostgres(
  kysely: Kysely<Schema>,
  timeoutMs: number,
  rows: readonly AttemptRow[],
): Promise<readonly RefusedRow[]> {
  return insertByHalves(rows, (some) =>
    retryWhileContended(async () => {
      await addLabels(kysely, new Set(some.map(({ label }) => label)));
      await insertAll(kysely, some);
    }, timeoutMs),
  );
}

/** Adds labels that are not there yet. Of several that ask for the same number one gets it, and the others get the next. */
async function addLabels(kysely: Kysely<Schema>, labels: ReadonlySet<AttemptLabel>): Promise<void> {
  const wanted = sql`
    select distinct * from json_to_recordset(${JSON.stringify([...labels])}::json) as wanted (
      "organizationId" text, "projectId" text, "keyId" text, endpoint text, model text, deployment text, kind text, outcome text, measured integer
    )`;
  const add = sql`
    insert into attempt_label
    select (select coalesce(max(id), 0) from attempt_label) + row_number() over (), missing.*
    from (select * from (${wanted}) as wanted where not exists (select 1 from attempt_label as label where ${isOf('wanted')})) as missing
    on conflict do nothing`;
  const missing = sql`
    select 1 from (${wanted}) as wanted where not exists (select 1 from attempt_label as label where ${isOf('wanted')}) limit 1`;
  while ((await missing.execute(kysely)).rows.length > 0) await add.execute(kysely);
}

/** `label` is the one that a row of `table` names. */
function isOf(table: string): RawBuilder<boolean> {
  const columns = [
    ['organization_id', 'organizationId'],
    ['project_id', 'projectId'],
    ['key_id', 'keyId'],
    ...['endpoint', 'model', 'deployment', 'kind', 'outcome', 'measured'].map(
      (name) => [name, name] as const,
    ),
  ] as const;
  const of = (name: string) => sql.ref(`${table}.${name}`);
  return sql.join(
    columns.map(([column, name]) => sql`${sql.ref(`label.${column}`)} = ${of(name)}`),
    sql` and `,
  );
}

/** In order, so that of two that bring the same rows one waits for the other, and not each for the other. */
async function insertAll(kysely: Kysely<Schema>, rows: readonly AttemptRow[]): Promise<void> {
  const flat = rows.map(({ label, ...row }) => ({ ...label, ...row }));
  await sql`
    with changed as (
      insert into attempt
      select "settlementId", number, "atMs", label.id, "requestId",
        "promptTokens", "cachedTokens", "completionTokens", "reasoningTokens", "costNanoUsd", "wasteNanoUsd", "durationMs"
      from json_to_recordset(${JSON.stringify(flat)}::json) as attempted (
        "settlementId" text, number integer, "atMs" bigint, "requestId" text, "organizationId" text, "projectId" text, "keyId" text, endpoint text,
        model text, deployment text, kind text, outcome text, measured integer, "promptTokens" bigint, "cachedTokens" bigint,
        "completionTokens" bigint, "reasoningTokens" bigint, "costNanoUsd" bigint, "wasteNanoUsd" bigint, "durationMs" bigint
      )
      join attempt_label as label on ${isOf('attempted')}
      order by 1, 2
      on conflict do nothing
      returning at_ms, label_id, cost_nano_usd
    ),
    labelled as (
      select at_ms, organization_id, project_id, key_id, model, cost_nano_usd from changed join attempt_label on label_id = id
    )
    ${spend(sql`labelled`)}`.execute(kysely);
}

/**
 * See `countLateRows`. Where several count at once, each waits for the one before it, and leaves out what that one
 * has counted.
 */
export async function countLateInPostgres(
  kysely: Kysely<Schema>,
  timeoutMs: number,
  most: number,
): Promise<void> {
  const count = sql`
    with late as (select id from ledger where counted = 0 order by id limit ${sql.lit(most)} for update),
    changed as (
      update ledger set counted = 1 where id in (select id from late)
      returning at_ms, organization_id, project_id, key_id, model, cost_nano_usd
    )
    ${spend(sql`changed`)}`;
  await retryWhileContended(() => count.execute(kysely), timeoutMs);
}

/** Adds to `spent` what rows cost; in order, too. */
function spend(rows: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    insert into spent (period, organization_id, project_id, key_id, model, nano_usd)
    select to_char(to_timestamp(at_ms / 1000) at time zone 'UTC', format), organization_id, project_id, key_id, model, sum(cost_nano_usd)
    from ${rows}, (values ('YYYY-MM-DD'), ('YYYY-MM')) as formats (format)
    where cost_nano_usd > 0
    group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
    on conflict (period, organization_id, project_id, key_id, model)
    do update set nano_usd = spent.nano_usd + excluded.nano_usd`;
}

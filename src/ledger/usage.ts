import { type RawBuilder, sql } from 'kysely';
import type { UsageBucket, UsageDimension, UsageGroup, UsageQuery } from '../api/usage-reader.ts';
import { ATTEMPT_AMOUNTS, ATTEMPT_SUMS } from '../store/attempt-sums.ts';
import type { Database } from '../store/database.ts';
import type { Schema } from '../store/schema.ts';

const COLUMN_OF = {
  organization: 'organization_id',
  project: 'project_id',
  key: 'key_id',
  model: 'model',
  endpoint: 'endpoint',
  deployment: 'deployment',
} as const satisfies Record<UsageDimension, keyof Schema['every_attempt']>;

const BUCKET_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const satisfies Record<
  UsageBucket,
  number
>;

type Labels = Record<(typeof COLUMN_OF)[UsageDimension], string | null>;
type Sums = Record<'start_ms' | 'requests' | 'attempts' | (typeof ATTEMPT_AMOUNTS)[number], number>;

/**
 * Sums of the ledger's rows. A request counts where its first attempt does.
 *
 * Those of whole days are there already. Other attempts are added up by their labels before anybody looks what those say, and rows of gateways that
 * knew of no labels as they are.
 */
export async function usage({ kysely }: Database, query: UsageQuery): Promise<readonly UsageGroup[]> {
  const { fromMs, toMs, bucket, only, maxGroups } = query;
  const groupBy = [...new Set(query.groupBy)];
  const wanted = Object.entries(only) as [UsageDimension, readonly string[] | undefined][];
  if (wanted.some(([, values]) => values?.length === 0) || !(fromMs < toMs)) return [];

  const start = startOf(query);
  const isWanted = sql.join(
    [sql`1 = 1`, ...wanted.flatMap(([dimension, values]) => (values ? [isOneOf(dimension, values)] : []))],
    sql` and `,
  );
  const { days, others } = partsOf(query);
  const attempts = sql.join(
    [sumsOfDays(days, start, bucket), ...others.map((part) => sumsOfAttempts(part, start))],
    sql` union all `,
  );
  const dimensions = groupBy.map((dimension) => COLUMN_OF[dimension]);
  const columns = refs(['start_ms', ...dimensions]);
  const kept = refs([...dimensions, 'kind']);
  const { rows } = await sql<Labels & Sums>`
    with label as (
      select * from (
        select id, organization_id, project_id, key_id, model, endpoint, nullif(deployment, '') as deployment, kind from attempt_label
      ) as every_label
      where ${isWanted}
    ),
    labelled as (${attempts}),
    counted as (
      select start_ms, ${kept}, ${refs(ATTEMPT_SUMS)} from labelled join label on id = label_id
      union all
      select ${start(sql`at_ms`)}, ${kept}, 1, ${refs(ATTEMPT_AMOUNTS)} from ledger
      where at_ms >= ${fromMs} and at_ms < ${toMs} and ${isWanted}
    )
    select ${columns}, sum(case when kind = 'first' then attempts else 0 end) as requests, ${sums(ATTEMPT_SUMS)}
    from counted group by ${columns} order by ${columns} limit ${maxGroups}`.execute(kysely);
  return rows.map((row) => ({
    startMs: row.start_ms,
    by: Object.fromEntries(groupBy.map((dimension) => [dimension, row[COLUMN_OF[dimension]] ?? null])),
    requests: row.requests,
    attempts: row.attempts,
    promptTokens: row.prompt_tokens,
    cachedTokens: row.cached_tokens,
    completionTokens: row.completion_tokens,
    reasoningTokens: row.reasoning_tokens,
    costNanoUsd: row.cost_nano_usd,
    wasteNanoUsd: row.waste_nano_usd,
  }));
}

function isOneOf(dimension: UsageDimension, values: readonly string[]): RawBuilder<unknown> {
  return sql`${sql.ref(COLUMN_OF[dimension])} in (${sql.join(values)})`;
}

function sums(names: readonly string[]): RawBuilder<unknown> {
  return sql.join(names.map((name) => sql`sum(${sql.ref(name)}) as ${sql.ref(name)}`));
}

function refs(names: readonly string[]): RawBuilder<unknown> {
  return sql.join(names.map((name) => sql.ref(name)));
}

type Start = (atMs: RawBuilder<unknown>) => RawBuilder<unknown>;

/** Of the bucket that a time is in. */
function startOf({ fromMs, bucket }: UsageQuery): Start {
  if (bucket === undefined) return () => sql`cast(${sql.lit(fromMs)} as bigint)`;
  const width = sql.lit(BUCKET_MS[bucket]);
  return (atMs) => sql`${atMs} / ${width} * ${width}`;
}

interface Part {
  readonly from: number;
  readonly to: number;
}

/** Whole days, by number, and the times that lie beside them. */
function partsOf({ fromMs, toMs, bucket }: UsageQuery): {
  readonly days: Part;
  readonly others: readonly Part[];
} {
  const dayMs = BUCKET_MS.day;
  const days = { from: Math.ceil(fromMs / dayMs), to: Math.floor(toMs / dayMs) };
  if (bucket === 'minute' || bucket === 'hour' || days.from >= days.to)
    return { days: { from: 0, to: 0 }, others: [{ from: fromMs, to: toMs }] };
  const beside = [
    { from: fromMs, to: days.from * dayMs },
    { from: days.to * dayMs, to: toMs },
  ];
  return { days, others: beside.filter(({ from, to }) => from < to) };
}

/** A day is a bucket as it is; of the whole time every label comes once. */
function sumsOfDays({ from, to }: Part, start: Start, bucket: UsageBucket | undefined): RawBuilder<unknown> {
  const startMs = sql`${start(sql`day * ${sql.lit(BUCKET_MS.day)}`)} as start_ms`;
  const days = sql`from attempt_day where day >= ${from} and day < ${to} and label_id in (select id from label)`;
  return bucket === undefined
    ? sql`select label_id, ${startMs}, ${sums(ATTEMPT_SUMS)} ${days} group by label_id`
    : sql`select label_id, ${startMs}, ${refs(ATTEMPT_SUMS)} ${days}`;
}

function sumsOfAttempts({ from, to }: Part, start: Start): RawBuilder<unknown> {
  return sql`
    select label_id, ${start(sql`at_ms`)} as start_ms, count(*) as attempts, ${sums(ATTEMPT_AMOUNTS)}
    from attempt where at_ms >= ${from} and at_ms < ${to} and label_id in (select id from label) group by 1, 2`;
}

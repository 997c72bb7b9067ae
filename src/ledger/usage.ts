import { type Expression, type RawBuilder, sql } from 'kysely';
import type { UsageBucket, UsageDimension, UsageGroup, UsageQuery } from '../api/usage-reader.ts';
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

/** Sums of the ledger's rows. A request counts where its first attempt does. */
export async function usage({ kysely }: Database, query: UsageQuery): Promise<readonly UsageGroup[]> {
  const { fromMs, toMs, bucket, only, maxGroups } = query;
  const groupBy = [...new Set(query.groupBy)];
  const wanted = Object.entries(only) as [UsageDimension, readonly string[] | undefined][];
  if (wanted.some(([, values]) => values?.length === 0)) return [];

  const widthMs = bucket && sql.lit(BUCKET_MS[bucket]);
  const start: RawBuilder<number> = widthMs
    ? sql`${sql.ref('at_ms')} / ${widthMs} * ${widthMs}`
    : sql`${sql.lit(fromMs)}`;
  const columns = groupBy.map((dimension) => COLUMN_OF[dimension]);
  let rows = kysely
    .selectFrom('every_attempt')
    .select([start.as('start_ms'), ...columns])
    .select(({ fn }) => [
      exact(sql`count(case when kind = 'first' then 1 end)`).as('requests'),
      exact(fn.countAll()).as('attempts'),
      exact(fn.sum('prompt_tokens')).as('prompt_tokens'),
      exact(fn.sum('cached_tokens')).as('cached_tokens'),
      exact(fn.sum('completion_tokens')).as('completion_tokens'),
      exact(fn.sum('reasoning_tokens')).as('reasoning_tokens'),
      exact(fn.sum('cost_nano_usd')).as('cost_nano_usd'),
      exact(fn.sum('waste_nano_usd')).as('waste_nano_usd'),
    ])
    .where('at_ms', '>=', fromMs)
    .where('at_ms', '<', toMs);
  for (const [dimension, values] of wanted)
    if (values !== undefined) rows = rows.where(COLUMN_OF[dimension], 'in', values);
  if (widthMs) rows = rows.groupBy(sql`1`).orderBy(sql`1`);
  for (const column of columns) rows = rows.groupBy(column).orderBy(column);

  const found = await rows.limit(maxGroups).execute();
  return found
    .filter(({ attempts }) => attempts > 0)
    .map((row) => ({
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

/** No rows: zero. */
function exact(sum: Expression<unknown>): RawBuilder<number> {
  return sql<number>`coalesce(${sum}, 0)`;
}

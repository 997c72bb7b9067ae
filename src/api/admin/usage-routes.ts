import type { Context, Hono } from 'hono';
import { z } from 'zod';
import type { AppEnv } from '../http/app-env.ts';
import { checkedQuery } from '../http/checked.ts';
import { invalidValue } from '../openai/invalid-request.ts';
import { seenBy } from '../seen-by.ts';
import type { UsageDimension, UsageGroup, UsageReader } from '../usage-reader.ts';
import { usdText } from '../usd.ts';
import { csv } from './csv.ts';
import type { Operation } from './operation.ts';

const DIMENSIONS = ['organization', 'project', 'key', 'model', 'endpoint', 'deployment'] as const;
const BUCKETS = ['minute', 'hour', 'day'] as const;
const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
const MAX_GROUPS = 10_000;

/** With commas, or given several times. */
function list<T extends z.ZodType>(element: T) {
  return z.preprocess(
    (value) => (typeof value === 'string' ? value.split(',') : value),
    z.array(element).max(100).optional(),
  );
}

const moment = z.union([z.iso.date(), z.iso.datetime({ offset: true })]);
const time = z
  .string()
  .refine((text) => moment.safeParse(text).success, 'must be a date or a time of ISO 8601')
  .describe('A date or a time of ISO 8601')
  .optional();

const only = Object.fromEntries(DIMENSIONS.map((name) => [name, list(z.string())])) as Record<
  UsageDimension,
  ReturnType<typeof list<z.ZodString>>
>;

const query = z.strictObject({
  from: time,
  to: time,
  group_by: list(z.enum([...DIMENSIONS, ...BUCKETS])),
  ...only,
  format: z.enum(['json', 'csv']).default('json'),
});

const amount = z.int().min(0);

const reply = z.object({
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  usage: z.array(
    z.object({
      /** Of the minute, hour or day, where it is grouped by one. */
      start: z.iso.datetime().optional(),
      ...(Object.fromEntries(DIMENSIONS.map((name) => [name, z.string().nullable().optional()])) as Record<
        UsageDimension,
        z.ZodOptional<z.ZodNullable<z.ZodString>>
      >),
      requests: amount,
      attempts: amount,
      promptTokens: amount,
      cachedTokens: amount,
      completionTokens: amount,
      reasoningTokens: amount,
      costNanoUsd: amount,
      wasteNanoUsd: amount,
    }),
  ),
});

const usage = {
  route: 'GET /admin/usage',
  summary:
    'What was used and what it cost, by organization, project, key, model, endpoint, deployment, minute, hour or day; as JSON or CSV.',
  query,
  reply,
} satisfies Operation;

export const usageOperations = [usage];

/** Times are in UTC; the end is not in it. Default: the last 30 days, today among them. */
export function usageRoutes(app: Hono<AppEnv>, reader: UsageReader, now: () => number = Date.now): void {
  app.get('/admin/usage', async (c) => {
    const asked = checkedQuery(c, query);
    const toMs = asked.to === undefined ? now() + 1 : Date.parse(asked.to);
    const fromMs = asked.from === undefined ? defaultFromMs(toMs) : Date.parse(asked.from);
    if (!(fromMs < toMs)) throw invalidValue('from', 'must be before `to`');
    const grouping = asked.group_by ?? [];
    const buckets = BUCKETS.filter((bucket) => grouping.includes(bucket));
    if (buckets.length > 1) throw invalidValue('group_by', 'must name one of minute, hour and day at most');
    const groupBy = DIMENSIONS.filter((dimension) => grouping.includes(dimension));
    const groups = await reader.usage({
      fromMs,
      toMs,
      bucket: buckets[0],
      groupBy,
      only: seenBy(c.get('call').caller, Object.fromEntries(DIMENSIONS.map((name) => [name, asked[name]]))),
      maxGroups: MAX_GROUPS + 1,
    });
    if (groups.length > MAX_GROUPS)
      throw invalidValue(
        'from',
        `has to be later, or less be told apart: there are over ${MAX_GROUPS} groups`,
      );
    c.header('cache-control', 'no-store');
    const isBucketed = buckets.length > 0;
    if (asked.format === 'csv') return sendCsv(c, groups, isBucketed, groupBy);
    return c.json(
      reply.parse({
        from: isoText(fromMs),
        to: isoText(toMs),
        usage: groups.map(({ startMs, by, ...amounts }) => ({
          ...(isBucketed ? { start: isoText(startMs) } : {}),
          ...by,
          ...amounts,
        })),
      }),
    );
  });
}

function sendCsv(
  c: Context<AppEnv>,
  groups: readonly UsageGroup[],
  isBucketed: boolean,
  groupBy: readonly UsageDimension[],
): Response {
  const head = [
    ...(isBucketed ? ['start'] : []),
    ...groupBy,
    ...['requests', 'attempts', 'prompt_tokens', 'cached_tokens', 'completion_tokens', 'reasoning_tokens'],
    ...['cost_usd', 'waste_usd'],
  ];
  const rows = groups.map((group) => [
    ...(isBucketed ? [isoText(group.startMs)] : []),
    ...groupBy.map((dimension) => group.by[dimension] ?? ''),
    ...[group.requests, group.attempts, group.promptTokens, group.cachedTokens],
    ...[group.completionTokens, group.reasoningTokens],
    ...[usdText(group.costNanoUsd), usdText(group.wasteNanoUsd)],
  ]);
  c.header('content-disposition', 'attachment; filename="usage.csv"');
  return c.body(csv([head, ...rows]), 200, { 'content-type': 'text/csv; charset=utf-8' });
}

/** Not before 1970: of that nothing is kept, and of the year before the first one there is no date. */
function defaultFromMs(toMs: number): number {
  const lastDay = Math.floor((toMs - 1) / DAY_MS);
  return Math.max(0, (lastDay - DEFAULT_DAYS + 1) * DAY_MS);
}

function isoText(ms: number): string {
  return new Date(ms).toISOString();
}

import { z } from 'zod';
import type { Caller } from '../../core/caller.ts';
import { queryNumber } from '../http/query-number.ts';
import { seenBy } from '../seen-by.ts';
import type { UsageBucket, UsageDimension, UsageGroup, UsageQuery } from '../usage-reader.ts';
import { invalidValue } from './invalid-request.ts';

/** What OpenAI's usage pages have in common: buckets of time, a page of them at a time. */

const WIDTH = {
  '1m': { bucket: 'minute', ms: 60_000 },
  '1h': { bucket: 'hour', ms: 3_600_000 },
  '1d': { bucket: 'day', ms: 86_400_000 },
} as const satisfies Record<string, { bucket: UsageBucket; ms: number }>;

type Width = keyof typeof WIDTH;

/** How many buckets a page has, and at most may have. */
type PageLimits = Readonly<Record<Width, { readonly default: number; readonly max: number }>>;

/** As https://platform.openai.com/docs/api-reference/usage has them. */
export const USAGE_LIMITS: PageLimits = {
  '1m': { default: 60, max: 1_440 },
  '1h': { default: 24, max: 168 },
  '1d': { default: 7, max: 31 },
};
export const COSTS_LIMITS: PageLimits = { ...USAGE_LIMITS, '1d': { default: 7, max: 180 } };

const MAX_GROUPS = 10_000;
const PAGE = /^page_(\d{1,11})$/;

const seconds = queryNumber(z.int().min(0).max(99_999_999_999));

/** One, or several. */
export function listOf<T extends z.ZodType>(element: T) {
  return z
    .preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(element).max(100))
    .optional();
}

export const pageParameters = {
  start_time: seconds,
  end_time: seconds.optional(),
  bucket_width: z.enum(['1m', '1h', '1d']).default('1d'),
  limit: queryNumber(z.int().min(1)).optional(),
  page: z
    .string()
    .refine((page) => PAGE.test(page), 'must be `next_page` of an earlier page')
    .optional(),
  project_ids: listOf(z.string()),
  api_key_ids: listOf(z.string()),
};

type Asked = z.output<z.ZodObject<typeof pageParameters>>;

/** The times of one page, Unix milliseconds: bucket by bucket. */
export interface PageOfTime {
  readonly bucket: UsageBucket;
  readonly startsMs: readonly number[];
  readonly widthMs: number;
  readonly next: string | null;
}

/** @throws AppError `invalid_value` */
export function pageOfTime(asked: Asked, nowMs: number, limits: PageLimits): PageOfTime {
  const width = WIDTH[asked.bucket_width];
  const { default: usual, max } = limits[asked.bucket_width];
  const { limit = usual } = asked;
  if (limit > max)
    throw invalidValue('limit', `must be at most ${max} where a bucket is ${asked.bucket_width}`);
  const untilMs = asked.end_time === undefined ? nowMs + 1 : asked.end_time * 1_000;
  const fromMs = 1_000 * (asked.page === undefined ? asked.start_time : Number(PAGE.exec(asked.page)![1]));
  if (asked.start_time * 1_000 >= untilMs) throw invalidValue('start_time', 'must be before `end_time`');
  const startsMs: number[] = [];
  let nextMs = fromMs - (fromMs % width.ms);
  for (; nextMs < untilMs && startsMs.length < limit; nextMs += width.ms) startsMs.push(nextMs);
  return {
    bucket: width.bucket,
    startsMs,
    widthMs: width.ms,
    next: nextMs < untilMs ? `page_${nextMs / 1_000}` : null,
  };
}

export function queryOf(
  { startsMs, widthMs, bucket }: PageOfTime,
  groupBy: readonly UsageDimension[],
  only: UsageQuery['only'],
  caller: Caller | undefined,
): UsageQuery {
  return {
    fromMs: startsMs[0]!,
    toMs: startsMs.at(-1)! + widthMs,
    bucket,
    groupBy,
    only: seenBy(caller, only),
    maxGroups: MAX_GROUPS + 1,
  };
}

/** OpenAI's page object. Buckets in which nothing was used are there, too. @throws AppError `invalid_value`: too many groups */
export function pageBody(
  { startsMs, widthMs, next }: PageOfTime,
  groups: readonly UsageGroup[],
  result: (group: UsageGroup) => object,
): object {
  if (groups.length > MAX_GROUPS)
    throw invalidValue('limit', `has to be smaller: there are over ${MAX_GROUPS} groups`);
  const byStart = Map.groupBy(groups, ({ startMs }) => startMs);
  return {
    object: 'page',
    data: startsMs.map((startMs) => ({
      object: 'bucket',
      start_time: startMs / 1_000,
      end_time: (startMs + widthMs) / 1_000,
      results: (byStart.get(startMs) ?? []).map(result),
    })),
    has_more: next !== null,
    next_page: next,
  };
}

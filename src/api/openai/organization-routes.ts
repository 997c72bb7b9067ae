import type { Hono } from 'hono';
import { z } from 'zod';
import { NANO_USD_PER_USD } from '../../core/money.ts';
import type { AppEnv } from '../http/app-env.ts';
import { checkedQuery } from '../http/checked.ts';
import type { UsageDimension, UsageGroup, UsageReader } from '../usage-reader.ts';
import {
  COSTS_LIMITS,
  listOf,
  pageBody,
  pageOfTime,
  pageParameters,
  queryOf,
  USAGE_LIMITS,
} from './organization-page.ts';

const USAGE_DIMENSIONS = { project_id: 'project', api_key_id: 'key', model: 'model' } as const;
/** OpenAI's line items are what was billed for: here models. */
const COST_DIMENSIONS = { project_id: 'project', api_key_id: 'key', line_item: 'model' } as const;

/** What is the same for all usage here, as whoever groups by it is told: nobody asks as a person, in batches or by way of OpenAI's agents. */
const USAGE_CONSTANTS = { user_id: null, batch: false, service_tier: null, api_source: 'unlabeled' } as const;
const COST_CONSTANTS = { user_id: null, api_source: 'unlabeled' } as const;

const COMPLETIONS = ['chat', 'completion'];

const usageQuery = z.strictObject({
  ...pageParameters,
  models: listOf(z.string()),
  user_ids: listOf(z.string()),
  batch: z.enum(['true', 'false']).optional(),
  group_by: listOf(z.enum([...namesOf(USAGE_DIMENSIONS), ...namesOf(USAGE_CONSTANTS)])),
});

const costsQuery = z.strictObject({
  ...pageParameters,
  bucket_width: z.enum(['1d']).default('1d'),
  line_items: listOf(z.string()),
  group_by: listOf(z.enum([...namesOf(COST_DIMENSIONS), ...namesOf(COST_CONSTANTS)])),
});

/** OpenAI's pages of usage and costs. A project is a tenant here. */
export function organizationUsageRoutes(
  app: Hono<AppEnv>,
  reader: UsageReader,
  now: () => number = Date.now,
): void {
  app.get('/v1/organization/usage/completions', async (c) => {
    const asked = checkedQuery(c, usageQuery);
    const page = pageOfTime(asked, now(), USAGE_LIMITS);
    const { group_by = [], project_ids: project, api_key_ids: key, models: model } = asked;
    const isNobodys = asked.user_ids !== undefined || asked.batch === 'true';
    const only = { project, key, model, endpoint: isNobodys ? [] : COMPLETIONS };
    const query = queryOf(page, dimensionsOf(group_by, USAGE_DIMENSIONS), only, c.get('call').caller);
    c.header('cache-control', 'no-store');
    return c.json(pageBody(page, await reader.usage(query), (group) => usageResult(group, group_by)));
  });
  app.get('/v1/organization/costs', async (c) => {
    const asked = checkedQuery(c, costsQuery);
    const page = pageOfTime(asked, now(), COSTS_LIMITS);
    const { group_by = [], project_ids: project, api_key_ids: key, line_items: model } = asked;
    const only = { project, key, model };
    const query = queryOf(page, dimensionsOf(group_by, COST_DIMENSIONS), only, c.get('call').caller);
    c.header('cache-control', 'no-store');
    return c.json(pageBody(page, await reader.usage(query), (group) => costResult(group, group_by)));
  });
}

function usageResult(group: UsageGroup, groupBy: readonly string[]): object {
  return {
    object: 'organization.usage.completions.result',
    input_tokens: group.promptTokens,
    input_cached_tokens: group.cachedTokens,
    output_tokens: group.completionTokens,
    input_audio_tokens: 0,
    output_audio_tokens: 0,
    num_model_requests: group.requests,
    ...valuesOf(group, USAGE_DIMENSIONS),
    ...constantsOf(groupBy, USAGE_CONSTANTS),
  };
}

function costResult(group: UsageGroup, groupBy: readonly string[]): object {
  return {
    object: 'organization.costs.result',
    amount: { value: group.costNanoUsd / NANO_USD_PER_USD, currency: 'usd' },
    quantity: null,
    quantity_unit: null,
    ...valuesOf(group, COST_DIMENSIONS),
    ...constantsOf(groupBy, COST_CONSTANTS),
  };
}

function dimensionsOf(
  groupBy: readonly string[],
  dimensions: Readonly<Record<string, UsageDimension>>,
): readonly UsageDimension[] {
  return groupBy.flatMap((name) => dimensions[name] ?? []);
}

/** Null where it was not asked for. */
function valuesOf({ by }: UsageGroup, dimensions: Readonly<Record<string, UsageDimension>>) {
  return Object.fromEntries(
    Object.entries(dimensions).map(([name, dimension]) => [name, by[dimension] ?? null]),
  );
}

/** Null where it was not asked for. */
function constantsOf(groupBy: readonly string[], constants: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(
    Object.entries(constants).map(([name, value]) => [name, groupBy.includes(name) ? value : null]),
  );
}

function namesOf<T extends object>(of: T): readonly (keyof T & string)[] {
  return Object.keys(of) as (keyof T & string)[];
}

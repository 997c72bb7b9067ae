import type { Hono } from 'hono';
import { z } from 'zod';
import { NANO_USD_PER_USD } from '../../core/money.ts';
import type { AppEnv } from '../http/app-env.ts';
import { checkedQuery } from '../http/checked.ts';
import type { UsageDimension, UsageGroup, UsageReader } from '../usage-reader.ts';
import { listOf, pageBody, pageOfTime, pageParameters, queryOf } from './organization-page.ts';

const USAGE_DIMENSIONS = { project_id: 'project', api_key_id: 'key', model: 'model' } as const;
/** OpenAI's line items are what was billed for: here models. */
const COST_DIMENSIONS = { project_id: 'project', api_key_id: 'key', line_item: 'model' } as const;

const COMPLETIONS = ['chat', 'completion'];

const usageQuery = z.strictObject({
  ...pageParameters,
  models: listOf(z.string()),
  group_by: listOf(z.enum(['project_id', 'api_key_id', 'model'])),
});

const costsQuery = z.strictObject({
  ...pageParameters,
  bucket_width: z.enum(['1d']).default('1d'),
  group_by: listOf(z.enum(['project_id', 'api_key_id', 'line_item'])),
});

/** OpenAI's pages of usage and costs. A project is a tenant here. */
export function organizationUsageRoutes(
  app: Hono<AppEnv>,
  reader: UsageReader,
  now: () => number = Date.now,
): void {
  app.get('/v1/organization/usage/completions', async (c) => {
    const asked = checkedQuery(c, usageQuery);
    const page = pageOfTime(asked, now());
    const groupBy = (asked.group_by ?? []).map((name) => USAGE_DIMENSIONS[name]);
    const { project_ids: project, api_key_ids: key, models: model } = asked;
    const query = queryOf(
      page,
      groupBy,
      { project, key, model, endpoint: COMPLETIONS },
      c.get('call').caller,
    );
    c.header('cache-control', 'no-store');
    return c.json(pageBody(page, await reader.usage(query), usageResult));
  });
  app.get('/v1/organization/costs', async (c) => {
    const asked = checkedQuery(c, costsQuery);
    const page = pageOfTime(asked, now());
    const groupBy = (asked.group_by ?? []).map((name) => COST_DIMENSIONS[name]);
    const { project_ids: project, api_key_ids: key } = asked;
    const query = queryOf(page, groupBy, { project, key }, c.get('call').caller);
    c.header('cache-control', 'no-store');
    return c.json(pageBody(page, await reader.usage(query), costResult));
  });
}

function usageResult(group: UsageGroup): object {
  return {
    object: 'organization.usage.completions.result',
    input_tokens: group.promptTokens,
    input_cached_tokens: group.cachedTokens,
    output_tokens: group.completionTokens,
    input_audio_tokens: 0,
    output_audio_tokens: 0,
    num_model_requests: group.requests,
    ...valuesOf(group, USAGE_DIMENSIONS),
    user_id: null,
    batch: null,
    service_tier: null,
  };
}

function costResult(group: UsageGroup): object {
  return {
    object: 'organization.costs.result',
    amount: { value: group.costNanoUsd / NANO_USD_PER_USD, currency: 'usd' },
    ...valuesOf(group, COST_DIMENSIONS),
  };
}

/** Null where it was not asked for. */
function valuesOf({ by }: UsageGroup, dimensions: Readonly<Record<string, UsageDimension>>) {
  return Object.fromEntries(
    Object.entries(dimensions).map(([name, dimension]) => [name, by[dimension] ?? null]),
  );
}

import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/gateway-process.ts';
import { bearer, chat, type RawReply, send, startTenants, type Tenants } from './tenants.ts';

let tenants: Tenants;

beforeAll(async () => {
  tenants = await startTenants();
});

afterAll(() => tenants?.close());

async function ask(method: string, path: string, body?: object) {
  const reply = await send(tenants.url, `/admin${path}`, {
    method,
    headers: { ...bearer(tenants.a.secrets.admin), 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { ...reply, json: JSON.parse(reply.body) };
}

async function made(path: string, body: object) {
  const reply = await ask('POST', path, body);
  expect([reply.status, reply.body]).toEqual([201, reply.body]);
  return reply.json;
}

const statuses = async (secret: string, model = tenants.a.model) =>
  (await chat(tenants.url, secret, model)).status;

describe('organizations, projects and keys over HTTP', () => {
  it('are made, found, changed and ended', async () => {
    const organization = await made('/organizations', { name: 'gamma', limits: { requestsPerMinute: 100 } });
    expect(organization).toMatchObject({ name: 'gamma', limits: { requestsPerMinute: 100 }, demands: {} });
    const project = await made('/projects', {
      ...{ name: 'web', organizationId: organization.id, weight: 2, priority: -1 },
      demands: { privacy: 'public', regions: ['eu'] },
    });
    expect(project).toMatchObject({ weight: 2, priority: -1, demands: { regions: ['eu'] } });
    const changed = await ask('PATCH', `/projects/${project.id}`, {
      ...{ name: 'web-2', limits: { tokensPerMinute: 5, concurrency: null }, demands: { regions: null } },
    });
    expect(changed.json).toMatchObject({ name: 'web-2', weight: 2, limits: { tokensPerMinute: 5 } });
    expect(changed.json.demands).toEqual({ privacy: 'public' });
    expect((await ask('GET', `/projects/${project.id}`)).json).toEqual(changed.json);
    const listed = await ask('GET', `/projects?organizationId=${organization.id}`);
    expect(listed.json).toEqual({ projects: [changed.json], next: null });
    for (const path of [`/projects/${project.id}`, `/organizations/${organization.id}`]) {
      const ended = await ask('DELETE', path);
      expect(ended.json.archivedAtMs).toEqual(expect.any(Number));
      expect((await ask('DELETE', path)).json).toEqual(ended.json);
      expect((await ask('PATCH', path, { name: 'x' })).status).toBe(404);
    }
  });

  it('tell a secret once, and never in anything else', async () => {
    const key = await made('/keys', { name: 'once', projectId: tenants.a.projectId });
    const { secret, ...rest } = key;
    expect(secret).toMatch(/^qm_[\w-]{43}$/);
    expect(await statuses(secret)).toBe(200);
    const found = await ask('GET', `/keys/${key.id}`);
    expect(found.json).toEqual(rest);
    expect(found.headers['cache-control']).toBe('no-store');
    const changed = await ask('PATCH', `/keys/${key.id}`, { name: 'other' });
    const listed = await ask('GET', `/keys?projectId=${tenants.a.projectId}`);
    const revoked = await ask('POST', `/keys/${key.id}/revoke`);
    for (const { body } of [found, changed, listed, revoked]) expect(body).not.toMatch(/secret|hash|qm_/);
    expect(revoked.json.revokedAtMs).toEqual(expect.any(Number));
  });

  it('are valid and ended at once where that was said', async () => {
    const { id, secret } = await made('/keys', { name: 'short', projectId: tenants.a.projectId });
    expect(await statuses(secret)).toBe(200);
    await ask('PATCH', `/keys/${id}`, { models: [tenants.b.model] });
    expect(await statuses(secret)).toBe(404);
    await ask('PATCH', `/keys/${id}`, { models: null, endpoints: ['/v1/embeddings'] });
    expect(await statuses(secret)).toBe(403);
    await ask('PATCH', `/keys/${id}`, { endpoints: null, limits: { requestsPerMinute: 1 } });
    expect([await statuses(secret), await statuses(secret)]).toEqual([200, 429]);
    await ask('POST', `/keys/${id}/revoke`);
    expect(await statuses(secret)).toBe(401);
    expect((await ask('POST', `/keys/${id}/rotate`, {})).status).toBe(404);
  });

  it('end with what they belong to', async () => {
    const organization = await made('/organizations', { name: 'doomed' });
    const project = await made('/projects', { name: 'doomed', organizationId: organization.id });
    const { secret } = await made('/keys', { name: 'doomed', projectId: project.id });
    expect(await statuses(secret)).toBe(200);
    await ask('DELETE', `/organizations/${organization.id}`);
    expect(await statuses(secret)).toBe(401);
    const late = await ask('POST', '/keys', { name: 'late', projectId: project.id });
    expect([late.status, late.json.error.param]).toEqual([400, 'projectId']);
  });

  it('are taken with a warning where they name models or regions that are not served', async () => {
    const { a, b } = tenants;
    const scope = { models: [a.model, 'nope'], demands: { regions: ['atlantis'] } };
    const key = await made('/keys', { name: 'slip', projectId: a.projectId, ...scope });
    expect(key).toMatchObject({ models: scope.models, secret: expect.any(String) });
    expect(key.warnings).toEqual([
      expect.stringContaining(`there is no model \`nope\` here, only \`${a.model}\``),
      'there is no region `atlantis` here',
    ]);
    const mended = await ask('PATCH', `/keys/${key.id}`, { models: [a.model], demands: { regions: null } });
    expect([mended.status, mended.json.warnings]).toEqual([200, undefined]);
    // What others serve is nothing that an organization could find out so.
    const own = { name: 'x', projectId: a.projectId, models: [b.model] };
    const told = await send(tenants.url, '/admin/keys', {
      method: 'POST',
      headers: { ...bearer(a.secrets['organization-admin']), 'content-type': 'application/json' },
      body: JSON.stringify(own),
    });
    expect(JSON.parse(told.body).warnings).toEqual([
      `there is no model \`${b.model}\` here, only \`${a.model}\``,
    ]);
  });

  it('rotate with an overlap', async () => {
    const first = await made('/keys', { name: 'rotating', projectId: tenants.a.projectId });
    const second = (await ask('POST', `/keys/${first.id}/rotate`, { overlapMs: 1_000 })).json;
    expect(second.id).toBe(first.id);
    expect([await statuses(first.secret), await statuses(second.secret)]).toEqual([200, 200]);
    await eventually('the one before ends', async () => (await statuses(first.secret)) === 401, 3_000);
    const third = (await ask('POST', `/keys/${first.id}/rotate`, { overlapMs: 0 })).json;
    expect([await statuses(second.secret), await statuses(third.secret)]).toEqual([401, 200]);
  });

  it('come by the page', async () => {
    const organization = await made('/organizations', { name: 'many' });
    const ids: string[] = [];
    for (let i = 0; i < 5; i++)
      ids.push((await made('/projects', { name: `p${i}`, organizationId: organization.id })).id);
    const seen: string[] = [];
    let after = '';
    for (let pages = 0; pages < 4; pages++) {
      const { json } = await ask('GET', `/projects?organizationId=${organization.id}&limit=2${after}`);
      seen.push(...json.projects.map(({ id }: { id: string }) => id));
      if (json.next === null) break;
      after = `&after=${json.next}`;
    }
    expect(seen).toEqual(expect.arrayContaining(ids));
    expect(seen).toHaveLength(5);
  });

  it.each([
    ['an unknown field', '/organizations', { name: 'x', colour: 'red' }, 'colour'],
    ['an unknown limit', '/organizations', { name: 'x', limits: { perSecond: 1 } }, 'limits.perSecond'],
    ['a limit of nothing', '/organizations', { name: 'x', limits: { concurrency: 0 } }, 'limits.concurrency'],
    [
      'half a request',
      '/organizations',
      { name: 'x', limits: { requestsPerMinute: 0.5 } },
      'limits.requestsPerMinute',
    ],
    [
      'absurd money',
      '/organizations',
      { name: 'x', limits: { nanoUsdPerDay: 1e300 } },
      'limits.nanoUsdPerDay',
    ],
    [
      'negative money',
      '/organizations',
      { name: 'x', limits: { nanoUsdPerDay: -1 } },
      'limits.nanoUsdPerDay',
    ],
    ['no name', '/organizations', {}, 'name'],
    ['a name that controls terminals', '/organizations', { name: 'a\u001b[2J' }, 'name'],
    ['an unknown role', '/keys', { name: 'x', projectId: 'p', role: 'root' }, 'role'],
    ['an unknown endpoint', '/keys', { name: 'x', projectId: 'p', endpoints: ['/v1/chat'] }, 'endpoints[0]'],
    ['the end in the past', '/keys', { name: 'x', projectId: 'p', expiresAtMs: 1 }, 'expiresAtMs'],
    ['an unknown project', '/keys', { name: 'x', projectId: 'proj_nobody' }, 'projectId'],
    ['a hash of its own', '/keys', { name: 'x', projectId: 'p', hash: 'AAAA' }, 'hash'],
    ['an id of its own', '/keys', { name: 'x', projectId: 'p', id: 'key_1' }, 'id'],
  ])('refuse %s', async (_, path, body, param) => {
    const { status, json } = await ask('POST', path, body);
    expect([status, json.error.code, json.error.param]).toEqual([400, 'invalid_value', param]);
  });

  it('refuse a name that is taken, and what is no object', async () => {
    const taken = await ask('POST', '/organizations', { name: 'alpha-organization' });
    expect([taken.status, taken.json.error.param]).toEqual([409, 'name']);
    expect((await ask('POST', '/organizations', [])).status).toBe(400);
    const plain = await send(tenants.url, '/admin/organizations', {
      method: 'POST',
      headers: { ...bearer(tenants.a.secrets.admin), 'content-type': 'text/plain' },
      body: '{"name":"x"}',
    });
    expect(plain.status).toBe(415);
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['page=2', 'page'],
  ])('refuse a list with %s', async (query, param) => {
    const { status, json } = await ask('GET', `/keys?${query}`);
    expect([status, json.error.param]).toEqual([400, param]);
  });
});

describe('usage over HTTP', () => {
  const since = () => new Date(Date.now() - 60_000).toISOString();

  beforeAll(async () => {
    for (const { secrets, model } of [tenants.a, tenants.a, tenants.b])
      expect(await statuses(secrets.user, model)).toBe(200);
    await eventually('the ledger has it', async () => {
      const { json } = await ask('GET', `/usage?group_by=key&key=${tenants.b.keyIds.user}`);
      return json.usage.length === 1;
    });
  });

  it('is told apart by what was asked for, and adds up', async () => {
    const { a, b } = tenants;
    const { json } = await ask('GET', `/usage?from=${since()}&group_by=project,model,day`);
    const told = json.usage.map(({ project, model }: Record<string, string>) => `${project} ${model}`);
    for (const { projectId, model } of [a, b]) expect(told).toContain(`${projectId} ${model}`);
    expect(new Set(told).size).toBe(told.length);
    const all = (await ask('GET', `/usage?from=${since()}`)).json.usage;
    expect(all).toHaveLength(1);
    for (const amount of ['requests', 'promptTokens', 'completionTokens', 'costNanoUsd'])
      expect(all[0][amount]).toBe(
        json.usage.reduce((sum: number, row: Record<string, number>) => sum + row[amount]!, 0),
      );
    expect(all[0].costNanoUsd).toBe(1_000 * (all[0].promptTokens + 2 * all[0].completionTokens));
  });

  it('is the same as CSV', async () => {
    const path = `/admin/usage?from=${since()}&group_by=project&project=${tenants.b.projectId}&format=csv`;
    const reply = await send(tenants.url, path, { headers: bearer(tenants.a.secrets.viewer) });
    expect(reply.headers['content-type']).toBe('text/csv; charset=utf-8');
    const [head, row, ...rest] = reply.body.split('\r\n');
    expect(head).toBe(
      'project,requests,attempts,prompt_tokens,cached_tokens,completion_tokens,reasoning_tokens,cost_usd,waste_usd',
    );
    const [project, requests, attempts, prompt, , completion, , cost, waste] = row!.split(',');
    expect([project, requests, attempts, waste]).toEqual([tenants.b.projectId, '1', '1', '0']);
    expect(Number(cost)).toBeCloseTo((Number(prompt) + 2 * Number(completion)) / 1e6, 12);
    expect(rest).toEqual(['']);
  });

  it.each([
    ['from=yesterday', 'from'],
    ['from=2030-01-01&to=2029-01-01', 'from'],
    ['to=0000-01-01', 'from'],
    ['group_by=colour', 'group_by'],
    ['group_by=day,hour', 'group_by'],
    ['format=xml', 'format'],
  ])('refuses %s', async (query, param) => {
    const { status, json } = await ask('GET', `/usage?${query}`);
    expect([status, json.error.param]).toEqual([400, param]);
  });

  it.each([
    ['/admin/usage?from=yesterday', '`from` must be a date or a time of ISO 8601, but is "yesterday".'],
    [
      '/admin/usage?group_by=day,colour',
      /^Invalid request: `group_by` must be "organi.* or "day", but is "colour"\.$/,
    ],
    [
      '/admin/usage?group_by=day&group_by=colour',
      /^Invalid request: `group_by` must be .*, but is "colour"\.$/,
    ],
    ['/admin/keys?limit=0x10', '`limit` must be a number, but is "0x10".'],
    ['/admin/keys?limit=', '`limit` must be a number, but is an empty string.'],
    ['/admin/keys?limit=-1', '`limit` must be at least 1, but is -1.'],
    ['/admin/decisions?limit=1001', '`limit` must be at most 1000, but is 1001.'],
    ['/admin/decisions?after=x', '`after` is not known here.'],
    ['/v1/organization/costs', '`start_time` is required and must be a number.'],
    ['/v1/organization/costs?start_time=', '`start_time` must be a number, but is an empty string.'],
    ['/v1/organization/costs?start_time=1e3', '`start_time` must be a number, but is "1e3".'],
    [
      '/v1/organization/costs?start_time=1&page=2',
      '`page` must be `next_page` of an earlier page, but is "2".',
    ],
  ])('says what is wrong with %s', async (path, message) => {
    const reply = await send(tenants.url, path, { headers: bearer(tenants.a.secrets.viewer) });
    const told = typeof message === 'string' ? `Invalid request: ${message}` : expect.stringMatching(message);
    expect([reply.status, JSON.parse(reply.body).error.message]).toEqual([400, told]);
  });

  it('has OpenAI’s pages', async () => {
    const { a } = tenants;
    const now = Math.floor(Date.now() / 1000);
    const get = async (path: string) => {
      const reply: RawReply = await send(tenants.url, `/v1/organization/${path}`, {
        headers: bearer(a.secrets.viewer),
      });
      return { status: reply.status, json: JSON.parse(reply.body) };
    };
    const day = now - (now % 86_400);
    const first = await get(
      `usage/completions?start_time=${day - 2 * 86_400}&limit=2&group_by[]=model&models[]=${a.model}`,
    );
    expect(first.json).toMatchObject({ object: 'page', has_more: true, next_page: expect.any(String) });
    expect(first.json.data.map(({ results }: { results: unknown[] }) => results)).toEqual([[], []]);
    const { json } = await get(
      `usage/completions?start_time=${day - 2 * 86_400}&limit=2&group_by[]=model&models[]=${a.model}&page=${first.json.next_page}`,
    );
    const bucket = json.data.at(0);
    expect(bucket).toMatchObject({ object: 'bucket', start_time: day, end_time: day + 86_400 });
    expect(bucket.results[0]).toMatchObject({
      ...{ object: 'organization.usage.completions.result', model: a.model, project_id: null },
      ...{ input_tokens: expect.any(Number), user_id: null, api_key_id: null, batch: null },
    });
    const costs = await get(`costs?start_time=${day}&group_by=line_item`);
    const item = costs.json.data[0].results.find(
      ({ line_item }: { line_item: string }) => line_item === a.model,
    );
    const { input_tokens, output_tokens } = bucket.results[0];
    expect(item.amount).toEqual({ value: (input_tokens + 2 * output_tokens) / 1e6, currency: 'usd' });
    for (const wrong of ['', 'start_time=x', `start_time=${now}&limit=999`, `start_time=${now}&page=x`])
      expect((await get(`usage/completions?${wrong}`)).status).toBe(400);
  });

  it.each([
    ['usage/completions', '1m', 1440],
    ['usage/completions', '1h', 168],
    ['usage/completions', '1d', 31],
    ['costs', '1d', 180],
  ])('has as many buckets in a page of %s by %s as OpenAI’s, %i', async (path, width, most) => {
    const get = (limit: number) =>
      send(
        tenants.url,
        `/v1/organization/${path}?start_time=1700000000&bucket_width=${width}&limit=${limit}`,
        {
          headers: bearer(tenants.a.secrets.viewer),
        },
      );
    expect(JSON.parse((await get(most)).body).data).toHaveLength(most);
    const refused = await get(most + 1);
    expect([refused.status, JSON.parse(refused.body).error.param]).toEqual([400, 'limit']);
  });

  it('answers OpenAI’s own client, whatever that groups by', async () => {
    const { url, a } = tenants;
    const client = new OpenAI({ baseURL: `${url}/v1`, adminAPIKey: a.secrets.viewer, maxRetries: 0 });
    const { usage } = client.admin.organization;
    const results = async (page: Promise<OpenAI.Admin.Organization.UsageCompletionsResponse>) =>
      (await page).data.flatMap((bucket) => bucket.results as object[]);
    const day = { start_time: Math.floor(Date.now() / 1000) - 86_400 };
    const only = { project_ids: [a.projectId], api_key_ids: [a.keyIds.user] };
    const [own] = await results(
      usage.completions({
        ...day,
        ...only,
        models: [a.model],
        batch: false,
        group_by: ['project_id', 'user_id', 'api_key_id', 'model', 'batch', 'service_tier', 'api_source'],
      }),
    );
    expect(own).toMatchObject({
      ...{ project_id: a.projectId, api_key_id: a.keyIds.user, model: a.model },
      ...{ user_id: null, batch: false, service_tier: null, api_source: 'unlabeled' },
    });
    const [all] = await results(usage.completions(day));
    expect(all).toMatchObject({ model: null, user_id: null, batch: null, api_source: null });
    expect(await results(usage.completions({ ...day, batch: true }))).toEqual([]);
    expect(await results(usage.completions({ ...day, user_ids: ['user-1'] }))).toEqual([]);
    const group_by = ['project_id', 'user_id', 'line_item', 'api_key_id', 'api_source'] as const;
    const costs = await results(
      usage.costs({ ...day, ...only, line_items: [a.model], group_by: [...group_by] }),
    );
    expect(costs).toMatchObject([
      { line_item: a.model, project_id: a.projectId, quantity: null, user_id: null },
    ]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bearer, chat, send, startTenants, type Tenants } from './tenants.ts';

let tenants: Tenants;

beforeAll(async () => {
  tenants = await startTenants();
});

afterAll(() => tenants?.close());

async function ask(
  method: string,
  path: string,
  body?: object,
  secret = tenants.a.secrets['organization-admin'],
) {
  const reply = await send(tenants.url, `/admin${path}`, {
    method,
    headers: { ...bearer(secret), 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { ...reply, json: JSON.parse(reply.body) };
}

const idsOf = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id).toSorted();

describe('an admin of an organization', () => {
  it('sees what belongs to it, and nothing else, with and without a filter', async () => {
    const { a, b } = tenants;
    expect(idsOf((await ask('GET', '/organizations')).json.organizations)).toEqual([a.organizationId]);
    expect(idsOf((await ask('GET', '/projects')).json.projects)).toEqual([a.projectId]);
    expect(idsOf((await ask('GET', '/keys')).json.keys)).toEqual(Object.values(a.keyIds).toSorted());
    expect((await ask('GET', `/projects?organizationId=${b.organizationId}`)).json.projects).toEqual([]);
    expect((await ask('GET', `/keys?projectId=${b.projectId}`)).json.keys).toEqual([]);
    for (const path of [
      `/keys/${b.keyIds.user}`,
      `/projects/${b.projectId}`,
      `/organizations/${b.organizationId}`,
    ])
      expect((await ask('GET', path)).status).toBe(404);
    for (const [list, id] of [
      ['keys', a.keyIds.user],
      ['projects', a.projectId],
      ['organizations', a.organizationId],
    ] as const) {
      const found = await ask('GET', `/${list}?after=${id}`, undefined, b.secrets['organization-admin']);
      expect(found.json[list]).toEqual([]);
    }
    for (const path of ['/upstreams', '/decisions', '/models', '/canaries'])
      expect((await ask('GET', path)).status).toBe(403);
  });

  it('sees what its organization used, whatever it asks for', async () => {
    const { a, b, url } = tenants;
    for (const { secrets, model } of [a, b]) expect((await chat(url, secrets.user, model)).status).toBe(200);
    const used = async (query: string, secret?: string) => {
      const { json } = await ask('GET', `/usage?group_by=organization&${query}`, undefined, secret);
      return json.usage.map(({ organization }: { organization: string }) => organization);
    };
    await expect.poll(() => used('', a.secrets.viewer), { timeout: 5_000 }).toHaveLength(2);
    expect(await used('')).toEqual([a.organizationId]);
    expect(await used(`project=${b.projectId}`)).toEqual([]);
    expect(await used(`organization=${b.organizationId}`)).toEqual([]);
    expect(await used(`organization=${a.organizationId},${b.organizationId}`)).toEqual([a.organizationId]);
  });

  it('makes, changes and ends projects and keys of it', async () => {
    const { a } = tenants;
    const made = await ask('POST', '/projects', { name: 'web', organizationId: a.organizationId });
    expect(made.status).toBe(201);
    const key = await ask('POST', '/keys', {
      name: 'k',
      projectId: made.json.id,
      role: 'organization-viewer',
    });
    expect(key.status).toBe(201);
    expect((await ask('GET', '/keys', undefined, key.json.secret)).json.keys.length).toBeGreaterThan(1);
    expect((await ask('POST', '/keys', { name: 'x', projectId: made.json.id }, key.json.secret)).status).toBe(
      403,
    );
    const changed = await ask('PATCH', `/keys/${key.json.id}`, { role: 'user', limits: { concurrency: 1 } });
    expect(changed.json).toMatchObject({ role: 'user', limits: { concurrency: 1 } });
    expect((await ask('POST', `/keys/${key.json.id}/rotate`, {})).status).toBe(200);
    expect((await ask('POST', `/keys/${key.json.id}/revoke`)).json.revokedAtMs).toEqual(expect.any(Number));
    expect((await ask('PATCH', `/projects/${made.json.id}`, { limits: { concurrency: 3 } })).status).toBe(
      200,
    );
    expect((await ask('DELETE', `/projects/${made.json.id}`)).json.archivedAtMs).toEqual(expect.any(Number));
  });

  it('divides what its projects have together, however many it makes and ends', async () => {
    const { a } = tenants;
    const mine = async () =>
      (await ask('GET', '/projects')).json.projects.filter(
        ({ archivedAtMs }: { archivedAtMs?: number | null }) => !archivedAtMs,
      ) as { id: string; weight: number }[];
    const total = async () => (await mine()).reduce((sum, { weight }) => sum + weight, 0);
    const before = await mine();
    const all = await total();
    const made = [];
    for (let i = 0; i < 3; i += 1)
      made.push(
        (await ask('POST', '/projects', { name: `part-${i}`, organizationId: a.organizationId })).json,
      );
    expect(await mine()).toHaveLength(before.length + 3);
    expect(await total()).toBeCloseTo(all, 9);
    expect(made[2].weight).toBeCloseTo(all / (before.length + 3), 9);
    for (const { id } of made) await ask('DELETE', `/projects/${id}`);
    expect(await total()).toBeCloseTo(all, 9);
    expect((await mine()).map(({ id }) => id)).toEqual(before.map(({ id }) => id));
    for (const [i, { weight }] of (await mine()).entries()) expect(weight).toBeCloseTo(before[i]!.weight, 9);
  });

  it('cannot be told a strange project from none', async () => {
    const { b } = tenants;
    const foreign = await ask('POST', '/keys', { name: 'x', projectId: b.projectId });
    const unknown = await ask('POST', '/keys', { name: 'x', projectId: 'proj_nobody' });
    expect([foreign.status, foreign.json]).toEqual([400, unknown.json]);
    const project = await ask('POST', '/projects', { name: 'x', organizationId: b.organizationId });
    expect([project.status, project.json.error.param]).toEqual([400, 'organizationId']);
  });

  it('becomes no operator by way of keys', async () => {
    const { a } = tenants;
    for (const role of ['viewer', 'admin']) {
      expect((await ask('POST', '/keys', { name: 'x', projectId: a.projectId, role })).status).toBe(403);
      expect((await ask('PATCH', `/keys/${a.keyIds['organization-admin']}`, { role })).status).toBe(403);
    }
    for (const id of [a.keyIds.viewer, a.keyIds.admin]) {
      expect((await ask('POST', `/keys/${id}/rotate`, {})).status).toBe(403);
      expect((await ask('POST', `/keys/${id}/revoke`)).status).toBe(403);
      expect((await ask('PATCH', `/keys/${id}`, { role: 'user' })).status).toBe(403);
    }
    expect((await ask('GET', '/keys', undefined, a.secrets.admin)).status).toBe(200);
  });

  it('neither ends nor throttles keys of the operator by way of their project, as long as they are good', async () => {
    const { a } = tenants;
    const { id } = (await ask('POST', '/projects', { name: 'shared', organizationId: a.organizationId }))
      .json;
    const key = await ask('POST', '/keys', { name: 'ops', projectId: id, role: 'admin' }, a.secrets.admin);
    expect(key.status).toBe(201);
    for (const terms of [{ limits: { requestsPerMinute: 1 } }, { demands: { maxCostUsd: 0 } }])
      expect((await ask('PATCH', `/projects/${id}`, terms)).status).toBe(403);
    expect((await ask('DELETE', `/projects/${id}`)).status).toBe(403);
    expect((await ask('GET', '/keys', undefined, key.json.secret)).status).toBe(200);
    expect((await ask('PATCH', `/projects/${id}`, { name: 'renamed' })).status).toBe(200);

    await ask('POST', `/keys/${key.json.id}/revoke`, {}, a.secrets.admin);
    expect((await ask('PATCH', `/projects/${id}`, { limits: { concurrency: 1 } })).status).toBe(200);
    expect((await ask('DELETE', `/projects/${id}`)).json.archivedAtMs).toEqual(expect.any(Number));
  });

  it('gives its projects no larger share of what all use together, and its organization no other limits', async () => {
    const { a } = tenants;
    for (const share of [{ weight: 100 }, { priority: -1 }]) {
      expect((await ask('PATCH', `/projects/${a.projectId}`, share)).status).toBe(403);
      const project = { name: 'x', organizationId: a.organizationId, ...share };
      expect((await ask('POST', '/projects', project)).status).toBe(403);
    }
    expect((await ask('PATCH', `/organizations/${a.organizationId}`, { limits: {} })).status).toBe(403);
    expect((await ask('DELETE', `/organizations/${a.organizationId}`)).status).toBe(403);
  });

  it('that asks without pause is told to wait, and no other', async () => {
    const { a, b, url } = tenants;
    const many = Array.from({ length: 60 }, (_, i) =>
      i % 2 === 0
        ? ask('GET', '/keys')
        : send(url, '/v1/organization/costs?start_time=1', { headers: bearer(a.secrets.user) }),
    );
    const other = await ask('GET', '/keys', undefined, b.secrets['organization-admin']);
    const replies = await Promise.all(many);
    const refused = replies.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(10);
    expect(refused[0]!.headers['retry-after']).toBe('1');
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(60 - refused.length);
    expect(other.status).toBe(200);
  });
});

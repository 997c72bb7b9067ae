import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCESS_RULES, type Access } from '../../src/api/access-rules.ts';
import { openApiDocument } from '../../src/api/admin/openapi.ts';
import { encoderRoutes } from '../../src/api/encoder-routes.ts';
import { generationRoutes } from '../../src/api/openai/routes.ts';
import type { Role } from '../../src/core/caller.ts';
import { type AppOptions, createRouter } from '../../src/hono-router.ts';
import { eventually } from '../support/gateway-process.ts';
import { disguised } from './disguised.ts';
import { bearer, chat, send, startTenants, type Tenant, type Tenants } from './tenants.ts';

let tenants: Tenants;

beforeAll(async () => {
  tenants = await startTenants();
  // Something to find for whoever looks where it should not.
  for (const { secrets, model } of [tenants.a, tenants.b])
    expect((await chat(tenants.url, secrets.user, model)).status).toBe(200);
  await eventually('both are in the ledger', async () => {
    const all = await ask('GET', '/admin/usage?group_by=key', tenants.a.secrets.viewer);
    return [tenants.a, tenants.b].every(({ keyIds }) => all.body.includes(keyIds.user));
  });
});

afterAll(() => tenants?.close());

const routes = Object.entries(ACCESS_RULES).map(([route, access]) => {
  const [method, path] = route.split(' ') as [string, string];
  return { route, method, path, access };
});

/** With this id wherever the route has one. */
function pathOf(path: string, id: string): string {
  return path.replaceAll(/:\w+(?:\{[^}]*\})?/g, encodeURIComponent(id));
}

function ask(
  method: string,
  path: string,
  secret: string | undefined,
  { body = '{}', headers = {} }: { readonly body?: string; readonly headers?: Record<string, string> } = {},
) {
  const hasBody = method === 'POST' || method === 'PATCH';
  return send(tenants.url, path, {
    method,
    headers: {
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
      ...(secret === undefined ? {} : bearer(secret)),
      ...headers,
    },
    body: hasBody ? body : undefined,
  });
}

/** All that tells of a tenant. */
function marks({ organizationId, projectId, keyIds, model, secrets }: Tenant): string[] {
  return [organizationId, projectId, model, ...Object.values(keyIds), ...Object.values(secrets)];
}

/** Bodies that would do another tenant harm, and that nothing is wrong with but whose it is. */
const ATTACKS: Readonly<Record<string, (victim: Tenant) => object>> = {
  'POST /admin/organizations': () => ({ name: 'made' }),
  'PATCH /admin/organizations/:id': () => ({ name: 'taken over' }),
  'POST /admin/projects': ({ organizationId }) => ({ name: 'made', organizationId }),
  'PATCH /admin/projects/:id': () => ({ name: 'taken over' }),
  'POST /admin/keys': ({ projectId }) => ({ name: 'made', projectId }),
  'PATCH /admin/keys/:id': () => ({ name: 'taken over' }),
};

/** What is kept of a tenant, as an operator sees it. */
async function everythingOf({ organizationId, projectId }: Tenant): Promise<readonly string[]> {
  const paths = [
    ...[`organizations/${organizationId}`, `projects?organizationId=${organizationId}`],
    ...[`keys?projectId=${projectId}`, `usage?organization=${organizationId}&group_by=key`],
  ];
  const replies = paths.map((path) => ask('GET', `/admin/${path}`, tenants.a.secrets.viewer));
  // But for the times of the report.
  return (await Promise.all(replies)).map(({ body }) => body.replace(/"(?:from|to)":"[^"]*"/g, ''));
}

describe('the table of routes', () => {
  it('has every route that is mounted, and no others', () => {
    const options = { corsOrigins: [], decisions: {}, tenantAdmin: {} } as unknown as AppOptions;
    const mounted = createRouter(options, { ...generationRoutes(options), ...encoderRoutes(options) })
      .routes.filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path}`);
    expect(mounted.toSorted()).toEqual(Object.keys(ACCESS_RULES).toSorted());
  });

  it('has every route below /admin described, with its role', () => {
    const { paths } = openApiDocument() as { paths: Record<string, Record<string, object>> };
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        route: `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
        role: (operation as { 'x-qianmen-role': string })['x-qianmen-role'],
      })),
    );
    const admin = routes.filter(({ path }) => path.startsWith('/admin'));
    expect(described.toSorted((a, b) => (a.route < b.route ? -1 : 1))).toEqual(
      admin
        .map(({ route, access }) => ({ route, role: access }))
        .toSorted((a, b) => (a.route < b.route ? -1 : 1)),
    );
  });
});

describe.each(routes)('$route', ({ method, path, access }) => {
  it(access === 'open' ? 'is open' : 'needs a key', async () => {
    const { status } = await ask(method, pathOf(path, tenants.a.projectId), undefined);
    if (access === 'open') expect(status).toBe(200);
    else expect(status).toBe(401);
  });

  const bound = ['organization-viewer', 'organization-admin'] as const;
  const below = {
    ...{ open: [], user: [], 'organization-viewer': ['user'] },
    'organization-admin': ['user', 'organization-viewer', 'viewer'],
    ...{ viewer: ['user', ...bound], admin: ['user', ...bound, 'viewer'] },
  } as const satisfies Record<Access, readonly Role[]>;
  it.each(below[access])('is refused to a %s', async (role) => {
    for (const id of [tenants.a.projectId, tenants.a.keyIds.user, 'nobody', '\0']) {
      const reply = await ask(method, pathOf(path, id), tenants.a.secrets[role]);
      expect(reply.status).toBe(403);
      expect(reply.body).toContain('"permission_denied"');
    }
  });

  it.each(['user', 'organization-viewer', 'organization-admin'] as const)(
    'tells a %s nothing of another tenant, whatever ids it is asked with',
    async (role) => {
      const { a, b } = tenants;
      const secret = a.secrets[role];
      const before = await everythingOf(b);
      for (const id of [b.organizationId, b.projectId, b.model, b.keyIds.user, b.secrets.user]) {
        const query = new URLSearchParams({
          ...{ start_time: '1', limit: '1', end_time: '9999999999', organization: b.organizationId },
          ...{ projectId: b.projectId, organizationId: b.organizationId, project: b.projectId },
        });
        for (const list of ['project_ids[]', 'api_key_ids[]', 'models[]', 'group_by[]'])
          query.append(list, list === 'group_by[]' ? 'project_id' : id);
        const body = JSON.stringify(
          path.startsWith('/admin/')
            ? (ATTACKS[`${method} ${path}`]?.(b) ?? {})
            : { model: b.model, messages: [{ role: 'user', content: 'Hi' }], input: 'Hi' },
        );
        const own = pathOf(path, id);
        for (const asked of [own, `${own}?${query}`]) {
          const reply = await ask(method, asked, secret, { body });
          // What was asked for may be named in the refusal.
          const said = reply.body.replaceAll(id, '').replaceAll(b.model, '');
          for (const mark of marks(b)) expect(said).not.toContain(mark);
          if (path.includes(':') && reply.status !== 403 && asked === own) expect(reply.status).toBe(404);
        }
      }
      expect(await everythingOf(b)).toEqual(before);
    },
  );
});

const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'TRACE'];

describe.each(routes.filter(({ access }) => access !== 'open'))('$route, asked for in other ways,', (one) => {
  const { route, path } = one;
  /** With the route's own method, or one that its path has not. */
  const askAs = (method: string, asked: string, secret: string | undefined, victim: Tenant) => {
    const headers = {
      'x-http-method-override': one.method,
      'x-original-url': pathOf(path, victim.projectId),
    };
    const body = JSON.stringify(
      ATTACKS[route]?.(victim) ?? { model: victim.model, messages: [], input: 'x' },
    );
    return ask(method, asked, secret, { headers, body });
  };

  const idOf = ({ keyIds, projectId, organizationId, model }: Tenant) =>
    path.includes('/keys/')
      ? keyIds.user
      : path.includes('/projects/')
        ? projectId
        : path.includes('/organizations/')
          ? organizationId
          : model;

  it('opens to nobody without a key', async () => {
    const own = pathOf(path, idOf(tenants.b));
    for (const method of METHODS) {
      const { status } = await askAs(method, own, undefined, tenants.b);
      expect([method, status]).toEqual([method, 401]);
    }
    for (const asked of disguised(own)) {
      const { status } = await askAs(one.method, asked, undefined, tenants.b);
      expect([asked, status < 400]).toEqual([asked, false]);
    }
  });

  it('tells a tenant nothing of another, nor that it is there, and changes nothing of it', async () => {
    const { a, b } = tenants;
    const secret = a.secrets[path.startsWith('/admin') ? 'organization-admin' : 'user'];
    const before = await everythingOf(b);
    const id = idOf(b);
    const said = async (method: string, asked: string, itsId: string) => {
      const { status, body } = await askAs(method, asked, secret, b);
      return [status, body.replaceAll(itsId, '').replaceAll(b.model, '')] as const;
    };
    for (const method of METHODS) {
      const theirs = await said(method, pathOf(path, id), id);
      expect([method, marks(b).filter((mark) => theirs[1].includes(mark))]).toEqual([method, []]);
      const nobody = `${id.slice(0, -1)}_`;
      if (path.includes(':'))
        expect([method, theirs]).toEqual([method, await said(method, pathOf(path, nobody), nobody)]);
    }
    for (const asked of disguised(pathOf(path, id))) {
      const [, body] = await said(one.method, asked, id);
      expect([asked, marks(b).filter((mark) => body.includes(mark))]).toEqual([asked, []]);
    }
    expect(await everythingOf(b)).toEqual(before);
  });

  it('lets a viewer change nothing', async () => {
    const { a, b } = tenants;
    // But for what it has used itself: it may use the models.
    const kept = async () => [await everythingOf(b), (await everythingOf(a)).slice(0, -1)];
    const before = await kept();
    for (const method of METHODS)
      for (const victim of [a, b]) await askAs(method, pathOf(path, idOf(victim)), a.secrets.viewer, victim);
    expect(await kept()).toEqual(before);
  });
});

describe('usage and costs', () => {
  const pages = ['usage/completions', 'costs'];
  const pageOf = async (page: string, parameters: string, secret: string) => {
    const since = Math.floor(Date.now() / 1000) - 60;
    const path = `/v1/organization/${page}?start_time=${since}&group_by=project_id&${parameters}`;
    const reply = await send(tenants.url, path, { headers: bearer(secret) });
    expect(reply.status).toBe(200);
    const { data } = JSON.parse(reply.body) as { data: { results: { project_id: string }[] }[] };
    return data.flatMap(({ results }) => results.map(({ project_id }) => project_id));
  };

  it.each(pages)('%s shows a user its own project, and an operator all', async (page) => {
    const { a, b } = tenants;
    expect(await pageOf(page, '', a.secrets.user)).toEqual([a.projectId]);
    expect(await pageOf(page, `project_ids=${a.projectId}`, a.secrets.user)).toEqual([a.projectId]);
    expect(await pageOf(page, `project_ids[]=${b.projectId}`, a.secrets.user)).toEqual([]);
    expect(await pageOf(page, `api_key_ids=${b.keyIds.user}`, a.secrets.user)).toEqual([]);
    expect(await pageOf(page, '', a.secrets.viewer)).toEqual([a.projectId, b.projectId].toSorted());
    for (const role of ['organization-viewer', 'organization-admin'] as const) {
      expect(await pageOf(page, '', a.secrets[role])).toEqual([a.projectId]);
      expect(await pageOf(page, `project_ids=${b.projectId}`, a.secrets[role])).toEqual([]);
      expect(await pageOf(page, `api_key_ids=${b.keyIds.user}`, a.secrets[role])).toEqual([]);
    }
  });
});

it('/readyz tells everybody whether it is ready, and operators alone why it is not', async () => {
  const { gateway, a } = tenants;
  gateway.setDrained('fake', true);
  const told = async (secret: string | undefined) => {
    const { status, body } = await ask('GET', '/readyz', secret);
    return [status, body.includes('"state":"down"'), body.includes('drained by an operator')];
  };
  try {
    for (const secret of [undefined, 'wrong', a.secrets.user, a.secrets['organization-admin']])
      expect(await told(secret)).toEqual([503, true, false]);
    expect(await told(a.secrets.viewer)).toEqual([503, true, true]);
  } finally {
    gateway.setDrained('fake', false);
  }
});

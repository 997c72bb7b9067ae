import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bearer, send, startTenants, type Tenants } from './tenants.ts';

let tenants: Tenants;

beforeAll(async () => {
  tenants = await startTenants();
});

afterAll(() => tenants?.close());

/** With a query a path is the router's to answer. */
async function ask(path: string, secret: string | undefined) {
  const { status, body, headers } = await send(tenants.url, path, {
    headers: secret === undefined ? {} : bearer(secret),
  });
  return { status, body, contentType: headers['content-type'] };
}

describe.each(['/healthz', '/readyz', '/metrics'])('GET %s', (path) => {
  it.each(['nobody', 'user', 'organization-admin', 'viewer'] as const)(
    'answers %s without the router as it does with it',
    async (who) => {
      const secret = who === 'nobody' ? undefined : tenants.a.secrets[who];
      const [direct, routed] = [await ask(path, secret), await ask(`${path}?x=1`, secret)];
      const told = path === '/metrics' && direct.status === 200 ? { body: expect.any(String) } : {};
      expect(direct).toEqual({ ...routed, ...told });
      expect(direct.status).toBe({ '/healthz': 200, '/readyz': 200 }[path] ?? metricsFor(who));
    },
  );
});

function metricsFor(who: string): number {
  if (who === 'nobody') return 401;
  return who === 'viewer' ? 200 : 403;
}

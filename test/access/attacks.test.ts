import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROLES } from '../../src/core/caller.ts';
import { ApiKeys } from '../../src/store/api-keys.ts';
import { disguised } from './disguised.ts';
import { bearer, chat, makeKey, send, startTenants, type Tenants } from './tenants.ts';

let tenants: Tenants;

beforeAll(async () => {
  tenants = await startTenants({ cors: { origins: ['https://page.example'] } });
});

afterAll(() => tenants?.close());

const PROMPT = { messages: [{ role: 'user', content: 'Hello there.' }] };

function post(path: string, headers: Record<string, string>, body: object = {}) {
  return send(tenants.url, path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: tenants.a.model, ...PROMPT, ...body }),
  });
}

/** Writes what `node:http` would not. Resolves to all that comes back. */
async function raw(lines: readonly (string | Buffer)[]): Promise<string> {
  const { hostname, port } = new URL(tenants.url);
  const socket = connect({ host: hostname, port: Number(port) });
  const parts = lines.map((line) => Buffer.concat([Buffer.from(line), Buffer.from('\r\n')]));
  socket.write(Buffer.concat([...parts, Buffer.from('connection: close\r\n\r\n')]));
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

function statusOf(reply: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(reply)?.[1]);
}

describe('what is sent for a key', () => {
  it.each([
    `' OR '1'='1`,
    `qm_' OR 1=1 --`,
    `qm_x'; DROP TABLE api_key; --`,
    `qm_${"' UNION SELECT hash FROM api_key_secret --".padEnd(43, 'x')}`,
    `${'qm_'}${'%'.repeat(43)}`,
    `${'qm_'}${'_'.repeat(43)}`,
  ])('is no SQL: %s', async (text) => {
    for (const headers of [
      { authorization: `Bearer ${text}` },
      { authorization: text },
      { 'x-api-key': text },
      { 'api-key': text },
    ]) {
      const reply = await post('/v1/chat/completions', headers);
      expect(reply.status).toBe(401);
      expect(reply.body).not.toContain(text);
    }
    expect((await new ApiKeys(tenants.database).list()).length).toBe(2 * ROLES.length);
  });

  it('is no SQL in other headers, parameters and ids either', async () => {
    const { admin } = tenants.a.secrets;
    const sql = `x' OR '1'='1`;
    const headers = { ...bearer(admin), 'x-request-id': sql, origin: sql, 'user-agent': sql };
    expect((await post('/v1/chat/completions', headers)).status).toBe(200);
    const encoded = encodeURIComponent(sql);
    for (const path of ['keys', 'projects', 'organizations'])
      expect((await send(tenants.url, `/admin/${path}/${encoded}`, { headers: bearer(admin) })).status).toBe(
        404,
      );
    const filtered = async (path: string) => {
      const reply = await send(tenants.url, path, { headers: bearer(admin) });
      expect(reply.status).toBe(200);
      return JSON.parse(reply.body);
    };
    expect((await filtered(`/admin/keys?projectId=${encoded}`)).keys).toEqual([]);
    expect((await filtered(`/admin/keys?after=${encoded}`)).keys).toEqual([]);
    expect((await filtered(`/admin/usage?project=${encoded}`)).usage).toEqual([]);
  });

  it('is nobody’s when it is only like a key', async () => {
    const { user, admin } = tenants.a.secrets;
    const flipped = (at: number) =>
      `${user.slice(0, at)}${user[at] === 'A' ? 'B' : 'A'}${user.slice(at + 1)}`;
    const others = [
      ...[user.slice(0, -1), `${user}A`, user.slice(0, 8), `${user.slice(0, 20)}${admin.slice(20)}`],
      ...[flipped(3), flipped(24), flipped(45), user.toLowerCase(), `${user} ${admin}`, `${user},${user}`],
      ...[`sk-${user.slice(3)}`, user.slice(3), tenants.a.keyIds.user, `"${user}"`, ''],
    ];
    // Known to the gateway by now, so that whatever it keeps of it could be mistaken for another.
    expect((await chat(tenants.url, user, tenants.a.model)).status).toBe(200);
    for (const other of others)
      for (const headers of [bearer(other), { 'x-api-key': other }]) {
        const reply = await post('/v1/chat/completions', headers);
        expect([other, reply.status]).toEqual([other, 401]);
      }
  });

  it('is the same refusal, whatever is wrong with it', async () => {
    const { database, url, a } = tenants;
    const soon = Date.now() + 300;
    const expiring = await makeKey(database, { name: 'x', projectId: a.projectId, expiresAtMs: soon });
    const revoked = await makeKey(database, { name: 'y', projectId: a.projectId });
    await new ApiKeys(database).revoke(revoked.id);
    while (Date.now() <= soon) await new Promise((resolve) => setTimeout(resolve, 20));
    const secrets = [expiring.secret, revoked.secret, `qm_${'A'.repeat(43)}`, 'nonsense', 'qm_'];
    const replies = await Promise.all(secrets.map((secret) => chat(url, secret, a.model)));
    const seen = replies.map(({ status, body, headers }) => {
      const { date: _, 'x-request-id': __, 'openai-processing-ms': ___, ...rest } = headers;
      return { status, body, rest };
    });
    for (const one of seen) expect(one).toEqual(seen[0]);
    expect(JSON.parse(seen[0]!.body)).toEqual({
      error: {
        message: 'Incorrect API key provided.',
        type: 'authentication_error',
        param: null,
        code: 'invalid_api_key',
      },
    });
  });

  it('may come in the headers of other dialects, of which Authorization counts first', async () => {
    const { user } = tenants.a.secrets;
    for (const headers of [
      { authorization: `bearer   ${user} ` },
      { 'x-api-key': user },
      { 'api-key': user },
    ] as Record<string, string>[])
      expect((await post('/v1/chat/completions', headers)).status).toBe(200);
    for (const wrong of [`Basic ${user}`, `Bearer`, `Bearer ${user} ${user}`, `Bearer\t${user}`, user])
      expect((await post('/v1/chat/completions', { authorization: wrong, 'x-api-key': user })).status).toBe(
        401,
      );
    const inUrl = await post(`/v1/chat/completions?api_key=${user}&key=${user}`, {});
    expect(inUrl.status).toBe(401);
  });

  it('is refused when it comes twice, in other letters, or too long', async () => {
    const { user, admin } = tenants.a.secrets;
    const ask = (...headers: (string | Buffer)[]) =>
      raw(['GET /v1/models HTTP/1.1', 'host: localhost', ...headers]);
    expect(statusOf(await ask(`authorization: Bearer ${user}`))).toBe(200);
    for (const headers of [
      [`authorization: Bearer wrong`, `authorization: Bearer ${user}`],
      [`x-api-key: ${user}`, `x-api-key: ${admin}`],
      [Buffer.concat([Buffer.from('authorization: Bearer '), Buffer.from([0xff, 0xfe, 0xc3, 0x28])])],
      [`authorization: Bearer ${user.replace('q', 'ｑ')}`],
      [`authorization: Bearer ${user}\u00a0`],
      [`authorization: Bearer ${'q'.repeat(8_000)}`],
    ])
      expect(statusOf(await ask(...headers))).toBe(401);
    expect(statusOf(await ask(`authorization: Bearer ${'q'.repeat(100_000)}`))).toBe(431);
    expect(statusOf(await ask(`authorization: Bearer ${user}\u0000`))).toBe(400);
  });
});

describe('a path in disguise', () => {
  it('leads nobody without a key anywhere', async () => {
    for (const path of disguised('/v1/chat/completions'))
      expect([path, (await post(path, {})).status]).not.toEqual([path, 200]);
    for (const path of [...disguised('/v1/models'), ...disguised('/admin/keys')]) {
      const reply = await send(tenants.url, path);
      expect([path, reply.status]).not.toEqual([path, 200]);
    }
    expect(tenants.fake.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it('leads no user to what is for operators', async () => {
    const headers = bearer(tenants.a.secrets.user);
    for (const path of disguised('/admin/keys')) {
      const reply = await send(tenants.url, path, { headers });
      expect([path, reply.status]).not.toEqual([path, 200]);
      expect(reply.body).not.toContain(tenants.b.keyIds.user);
    }
  });

  it('widens no scope', async () => {
    const { database, a } = tenants;
    const scope = { endpoints: ['/v1/embeddings'] };
    const narrow = await makeKey(database, { name: 'narrow', projectId: a.projectId, ...scope });
    for (const path of ['/v1/chat/completions', ...disguised('/v1/chat/completions')]) {
      const reply = await post(path, bearer(narrow.secret));
      expect([path, reply.status]).not.toEqual([path, 200]);
    }
    const refused = await post('/v1/chat/completions', bearer(narrow.secret));
    expect(refused.status).toBe(403);
    expect(refused.body).toContain('/v1/chat/completions');
    const allowed = await post('/v1/embeddings', bearer(narrow.secret), { input: 'x' });
    expect(allowed.status).not.toBe(403);
  });
});

describe('another method', () => {
  it('is judged as what it does', async () => {
    const { user, viewer, admin } = tenants.a.secrets;
    const head = async (path: string, secret: string) =>
      (await send(tenants.url, path, { method: 'HEAD', headers: bearer(secret) })).status;
    expect(await head('/v1/models', user)).toBe(200);
    expect([await head('/admin/keys', user), await head('/admin/keys', viewer)]).toEqual([403, 200]);
    expect(await head('/admin/keys', 'wrong')).toBe(401);
    const overridden = await send(tenants.url, `/admin/keys/${tenants.b.keyIds.user}`, {
      headers: { ...bearer(viewer), 'x-http-method-override': 'DELETE', 'x-method-override': 'PATCH' },
    });
    expect(overridden.status).toBe(200);
    for (const method of ['PUT', 'TRACE', 'PROPFIND', 'DELETE']) {
      const { status } = await send(tenants.url, '/admin/keys', { method, headers: bearer(admin) });
      expect([method, status]).toEqual([method, 405]);
    }
    expect((await chat(tenants.url, tenants.b.secrets.user, tenants.b.model)).status).toBe(200);
  });
});

describe('models that a key is not for', () => {
  it('are as if they were not there', async () => {
    const { url, a, b } = tenants;
    const theirs = await chat(url, a.secrets.user, b.model);
    const nobodys = await chat(url, a.secrets.user, 'no-such-model');
    expect([theirs.status, nobodys.status]).toEqual([404, 404]);
    expect(theirs.body.replaceAll(b.model, 'M')).toBe(nobodys.body.replaceAll('no-such-model', 'M'));
    const listed = await send(url, '/v1/models', { headers: bearer(a.secrets.user) });
    expect(JSON.parse(listed.body).data.map(({ id }: { id: string }) => id)).toEqual([a.model]);
  });

  it('are not reached by another spelling, or a second name in the body', async () => {
    const { a, b, fake } = tenants;
    const before = fake.requests.length;
    for (const model of [
      ` ${b.model}`,
      `${b.model} `,
      b.model.toUpperCase(),
      [b.model],
      { toString: b.model },
    ])
      expect((await post('/v1/chat/completions', bearer(a.secrets.user), { model })).status).toBeGreaterThan(
        399,
      );
    expect(fake.requests.length).toBe(before);
  });
});

describe('who asks from elsewhere', () => {
  it('is not told /metrics by claiming to be the machine itself, nor by being it', async () => {
    for (const headers of [
      {},
      { 'x-forwarded-for': '127.0.0.1' },
      { forwarded: 'for=127.0.0.1' },
      { 'x-real-ip': '127.0.0.1' },
      { via: '1.1 proxy' },
      { host: 'rebound.example' },
      { host: '127.0.0.1.rebound.example' },
    ] as Record<string, string>[])
      expect((await send(tenants.url, '/metrics', { headers })).status).toBe(401);
  });

  it('has a key for some endpoints only, and gets nothing else with it, whatever its role', async () => {
    const { admin } = tenants.a.secrets;
    const made = await send(tenants.url, '/admin/keys', {
      method: 'POST',
      headers: { ...bearer(admin), 'content-type': 'application/json' },
      body: JSON.stringify({
        name: 'narrow',
        projectId: tenants.a.projectId,
        role: 'admin',
        endpoints: ['/v1/embeddings'],
      }),
    });
    const { secret } = JSON.parse(made.body) as { secret: string };
    for (const path of [
      '/v1/organization/costs?start_time=1',
      '/admin/keys',
      '/metrics',
      '/admin/openapi.json',
    ])
      expect((await send(tenants.url, path, { headers: bearer(secret) })).status).toBe(403);
    expect((await send(tenants.url, '/v1/models', { headers: bearer(secret) })).status).toBe(200);
  });

  it('has one host', async () => {
    const { admin } = tenants.a.secrets;
    const two = await raw([
      ...['GET /admin/keys HTTP/1.1', 'host: localhost', 'host: elsewhere'],
      `authorization: Bearer ${admin}`,
    ]);
    expect(statusOf(two)).toBe(400);
  });

  it('may ask from a page before it has a key, for what pages are for', async () => {
    const origin = 'https://page.example';
    const preflight = (path: string, from = origin) =>
      send(tenants.url, path, {
        method: 'OPTIONS',
        headers: {
          origin: from,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type',
        },
      });
    const allowed = await preflight('/v1/chat/completions');
    expect(allowed.status).toBe(204);
    expect(allowed.headers['access-control-allow-origin']).toBe(origin);
    expect(allowed.headers['access-control-allow-headers']).toContain('authorization');
    const elsewhere = await preflight('/v1/chat/completions', 'https://other.example');
    expect(elsewhere.headers['access-control-allow-origin']).toBeUndefined();
    for (const path of ['/admin/keys', '/%61dmin/keys', '/admin/organizations/x']) {
      const refused = await preflight(path);
      expect(refused.status).toBe(403);
      expect(refused.headers['access-control-allow-origin']).toBeUndefined();
      const asked = await send(tenants.url, path, {
        headers: { origin, ...bearer(tenants.a.secrets.admin) },
      });
      expect(asked.headers['access-control-allow-origin']).toBeUndefined();
    }
    const unknown = await post('/v1/chat/completions', { origin, ...bearer('wrong') });
    expect([unknown.status, unknown.headers['access-control-allow-origin']]).toEqual([401, origin]);
  });
});

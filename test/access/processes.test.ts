import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { ApiKeys } from '../../src/store/api-keys.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { eventually, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { bearer, chat, gatewayConfig, makeTenant, send } from './tenants.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const run = promisify(execFile);
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** What revocations and changes may take to be known everywhere. */
const PROMISED_MS = 2_000;

async function setUp(extra: object = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-access-'));
  closing.push(() => rmSync(dataDir, { recursive: true }));
  const fake: FakeUpstream = await startFakeUpstream();
  closing.push(() => fake.close());
  const start = async (): Promise<GatewayProcess> => {
    const gateway = await startGatewayProcess(gatewayConfig(fake, { dataDir, ...extra }));
    closing.push(() => gateway.kill());
    return gateway;
  };
  const open = async (): Promise<Database> => {
    const database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
    closing.push(() => database.close());
    return database;
  };
  return { dataDir, fake, start, open };
}

describe('several processes on one database', () => {
  it('refuse a key within two seconds after one of them revoked it', async () => {
    const { start, open } = await setUp();
    const { secrets, keyIds, model } = await makeTenant(await open(), 'alpha');
    const [one, other] = await Promise.all([start(), start()]);
    for (const { url } of [one, other]) expect((await chat(url, secrets.user, model)).status).toBe(200);
    const revoked = await send(one.url, `/admin/keys/${keyIds.user}/revoke`, {
      method: 'POST',
      headers: { ...bearer(secrets.admin), 'content-type': 'application/json' },
    });
    expect(revoked.status).toBe(200);
    expect((await chat(one.url, secrets.user, model)).status).toBe(401);
    const isRefused = async () => (await chat(other.url, secrets.user, model)).status === 401;
    await eventually('the other process refuses it', isRefused, PROMISED_MS);
    for (let i = 0; i < 20; i++) expect(await isRefused()).toBe(true);
    expect((await chat(other.url, secrets.viewer, model)).status).toBe(200);
  });

  it('notice changed limits, and a key that has become another’s business', async () => {
    const { start, open } = await setUp();
    const database = await open();
    const { secrets, keyIds, model } = await makeTenant(database, 'alpha');
    const { url } = await start();
    expect((await chat(url, secrets.user, model)).status).toBe(200);
    await new ApiKeys(database).update(keyIds.user, { models: ['model-of-beta'] });
    await eventually(
      'the scope',
      async () => (await chat(url, secrets.user, model)).status === 404,
      PROMISED_MS,
    );
    await new ApiKeys(database).update(keyIds.user, { models: null, limits: { requestsPerMinute: 1 } });
    await eventually(
      'the limit',
      async () => (await chat(url, secrets.user, model)).status === 429,
      PROMISED_MS,
    );
  });

  it('need a key as soon as the command line has made the first', async () => {
    const { dataDir, start } = await setUp();
    const { url } = await start();
    expect((await chat(url, undefined, 'model-of-alpha')).status).toBe(200);
    const created = await run(process.execPath, [
      ...[MAIN, 'key', 'create', '--name', 'first', '--json', '--data-dir', dataDir],
    ]);
    const { secret } = JSON.parse(created.stdout) as { secret: string };
    const closed = async () => (await chat(url, undefined, 'model-of-alpha')).status === 401;
    await eventually('nobody gets in without a key', closed, PROMISED_MS);
    expect((await chat(url, secret, 'model-of-alpha')).status).toBe(200);
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

describe('secrets', () => {
  it('are in nothing that a gateway says, stores, measures or sends on', async () => {
    const { dataDir, fake, start, open } = await setUp({
      log: { level: 'trace' },
      decisions: { log: true, routeHeader: true },
    });
    const { secrets, model, keyIds } = await makeTenant(await open(), 'alpha');
    const gateway = await start();
    const unknown = `qm_${'canary'.repeat(8).slice(0, 43)}`;
    const odd = 'sk-canary-of-another-shop';
    const post = (headers: Record<string, string>, body: string) =>
      send(gateway.url, '/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
    const replies: string[] = [];
    for (const secret of [...Object.values(secrets), unknown, odd])
      for (const headers of [bearer(secret), { 'x-api-key': secret }, { 'api-key': secret }] as Record<
        string,
        string
      >[])
        for (const body of [
          JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
          JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hi' }] }),
          JSON.stringify({ model: 'no-such-model', messages: [] }),
          '{"broken',
        ]) {
          const { body: text, headers: told } = await post(headers, body);
          replies.push(text, JSON.stringify(told));
        }
    fake.setBehaviour({ status: 500 });
    await post(bearer(secrets.user), JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }));
    for (const path of [
      ...[
        '/metrics',
        '/readyz',
        '/admin/keys',
        '/admin/decisions',
        '/admin/upstreams',
        '/admin/openapi.json',
      ],
      ...['/admin/usage?group_by=key', '/v1/organization/costs?start_time=1', `/admin/keys/${keyIds.user}`],
    ]) {
      const { body, headers } = await send(gateway.url, path, { headers: bearer(secrets.admin) });
      replies.push(body, JSON.stringify(headers));
    }
    gateway.child.kill('SIGTERM');
    await gateway.exited;
    const heard = JSON.stringify(fake.requests);
    const files = filesBelow(dataDir).map((path) => readFileSync(path, 'latin1'));
    expect(files.length).toBeGreaterThan(1);
    // Also what is left of one without its prefix, or cut in two.
    for (const canary of [...Object.values(secrets), unknown, odd])
      for (const [where, texts] of Object.entries({
        replies,
        files,
        output: [gateway.output()],
        heard: [heard],
      }))
        for (const text of texts)
          for (const part of [canary.slice(3, 23), canary.slice(-20)])
            expect(text.includes(part) ? `${where} has ${part}` : '').toBe('');
    // The search itself finds what is there.
    expect(gateway.output()).toContain('request');
    expect(files.some((text) => text.includes(keyIds.user))).toBe(true);
  });
});

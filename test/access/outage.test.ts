import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { eventually, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { noPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';
import { bearer, chat, gatewayConfig, makeKey, makeTenant, send, type Tenant } from './tenants.ts';

describe.skipIf(noPostgres())('a database that goes away', () => {
  let server: PostgresServer;
  let database: Database;
  let fake: FakeUpstream;
  let gateway: GatewayProcess;
  let tenant: Tenant;
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-access-'));

  beforeAll(async () => {
    server = await startPostgres();
    const url = await server.createDatabase();
    database = await openDatabase({ kind: 'postgres', url });
    tenant = await makeTenant(database, 'alpha');
    await database.close();
    fake = await startFakeUpstream();
    gateway = await startGatewayProcess(gatewayConfig(fake, { dataDir, database: url }));
  });

  afterAll(async () => {
    await gateway?.kill();
    await fake?.close();
    await server?.remove();
    rmSync(dataDir, { recursive: true });
  });

  it('is not what is told to who asks for what it cannot hold', async () => {
    const { url } = gateway;
    const headers = { ...bearer(tenant.secrets.admin), 'content-type': 'application/json' };
    for (const path of [
      '/admin/keys/a%00b',
      '/admin/projects?after=%00',
      '/admin/usage?model=%00',
      '/v1/organization/usage/completions?start_time=1&project_ids=%00',
    ])
      expect([path, (await send(url, path, { headers })).status]).toEqual([path, 400]);
    const body = JSON.stringify({ name: 'x', projectId: 'a\u0000b' });
    expect(await send(url, '/admin/keys', { method: 'POST', headers, body })).toMatchObject({ status: 400 });
  });

  it('leaves known keys served, and says 503 to others and to operators, until it is back', async () => {
    const { secrets, model } = tenant;
    const { url } = gateway;
    for (const secret of [secrets.user, secrets.admin])
      expect((await chat(url, secret, model)).status).toBe(200);
    await server.stop();
    for (let i = 0; i < 5; i++) expect((await chat(url, secrets.user, model)).status).toBe(200);
    const unknown = await chat(url, secrets.viewer, model);
    expect(unknown.status).toBe(503);
    expect(unknown.body).toContain('"keys_unavailable"');
    expect(unknown.headers['retry-after']).toBeDefined();
    for (const path of ['/admin/keys', '/admin/usage', '/v1/organization/costs?start_time=1700000000']) {
      const reply = await send(url, path, { headers: bearer(secrets.admin) });
      expect([path, reply.status]).toEqual([path, 503]);
      expect(reply.body).not.toMatch(/postgres|ECONN|127\.0\.0\.1/);
    }
    expect((await chat(url, undefined, model)).status).toBe(401);
    await server.start();
    await eventually('unknown keys are served again', async () => {
      return (await chat(url, secrets.viewer, model)).status === 200;
    });
  });
});

describe.skipIf(noPostgres())('a database that cannot say in time what was spent', () => {
  let server: PostgresServer;
  let url: string;
  let fake: FakeUpstream;
  let gateway: GatewayProcess | undefined;
  const secrets = { spent: '', saver: '', free: '' };
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-access-'));

  beforeAll(async () => {
    server = await startPostgres();
    url = await server.createDatabase();
    fake = await startFakeUpstream();
    const database = await openDatabase({ kind: 'postgres', url });
    const { projectId } = await makeTenant(database, 'alpha');
    const make = async (name: string, limits: object) =>
      (await makeKey(database, { name, projectId, limits })).secret;
    secrets.spent = await make('spent', { nanoUsdPerMonth: 60_000 });
    secrets.saver = await make('saver', { nanoUsdPerDay: 1e9 });
    secrets.free = await make('free', {});
    await database.close();
  });

  afterAll(async () => {
    await gateway?.kill();
    await fake?.close();
    await server?.remove();
    rmSync(dataDir, { recursive: true });
  });

  const ask = async (secret: string) => {
    const reply = await chat(gateway!.url, secret, 'model-of-alpha', { max_tokens: 8 });
    return { status: reply.status, code: /"code":"(\w+)"/.exec(reply.body)?.[1], headers: reply.headers };
  };

  it('leaves those without a budget served, and gives nothing of a budget away until it can', async () => {
    const config = gatewayConfig(fake, { dataDir, database: url });
    gateway = await startGatewayProcess(config);
    await eventually('its budget is used up', async () => (await ask(secrets.spent)).status === 429);
    await gateway.kill();

    const client = new Client(url);
    await client.connect();
    await client.query('begin');
    await client.query('lock table ledger in access exclusive mode');
    gateway = await startGatewayProcess(config);
    expect((await ask(secrets.free)).status).toBe(200);
    for (const secret of [secrets.spent, secrets.saver]) {
      const refused = await ask(secret);
      expect(refused).toMatchObject({ status: 503, code: 'keys_unavailable' });
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    }
    await client.query('rollback');
    await client.end();
    await eventually('budgets are known', async () => (await ask(secrets.saver)).status === 200, 30_000);
    expect(await ask(secrets.spent)).toMatchObject({ status: 429, code: 'insufficient_quota' });
  }, 60_000);
});

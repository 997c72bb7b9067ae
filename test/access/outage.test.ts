import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { eventually, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { noPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';
import { bearer, chat, gatewayConfig, makeTenant, send, type Tenant } from './tenants.ts';

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

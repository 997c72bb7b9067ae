import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiKeys } from '../../src/store/api-keys.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { eventually, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { noPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';
import { gatewayConfig, makeTenant, type Tenant } from './tenants.ts';
import { askAnew, askEverywhere, replaceWorkers } from './workers.ts';

/** What revocations may take to be known everywhere. */
const PROMISED_MS = 2_000;

describe.skipIf(noPostgres())('workers whose database goes away', () => {
  let server: PostgresServer;
  let database: Database;
  let fake: FakeUpstream;
  let gateway: GatewayProcess;
  let tenant: Tenant;
  let dataDir: string;

  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'qianmen-access-'));
    server = await startPostgres();
    const url = await server.createDatabase();
    database = await openDatabase({ kind: 'postgres', url });
    tenant = await makeTenant(database, 'alpha');
    fake = await startFakeUpstream();
    gateway = await startGatewayProcess(
      gatewayConfig(fake, { dataDir, database: url, listen: { workers: 2 } }),
    );
  });

  afterEach(async () => {
    await gateway?.kill();
    await fake?.close();
    await database?.close();
    await server?.remove();
    rmSync(dataDir, { recursive: true });
  });

  const ask = (secret: string) => askAnew(gateway.url, tenant.model, secret);
  const everywhere = (secret: string) => askEverywhere(gateway.url, tenant.model, secret);

  it('all know a key that one of them has served, also those that start meanwhile, and no other', async () => {
    const { secrets } = tenant;
    expect(await ask(secrets.user)).toBe(200);
    await server.stop();
    const isKnown = async () => String(await everywhere(secrets.user)) === '200';
    await eventually('it is known to all', isKnown);
    await replaceWorkers(gateway);
    expect(await everywhere(secrets.user)).toEqual([200]);
    expect(await everywhere(secrets.viewer)).toEqual([503]);
    await server.start();
    const isServed = async () => String(await everywhere(secrets.viewer)) === '200';
    await eventually('unknown keys are served again', isServed);
  }, 60_000);

  it('none serves a key that was revoked before, also of those that start meanwhile', async () => {
    const { secrets, keyIds } = tenant;
    for (const secret of [secrets.user, secrets.viewer]) expect(await everywhere(secret)).toEqual([200]);
    await new ApiKeys(database).revoke(keyIds.user);
    const isRefused = async () => String(await everywhere(secrets.user)) === '401';
    await eventually('all refuse it', isRefused, PROMISED_MS);
    expect(await everywhere(secrets.viewer)).toEqual([200]);
    await server.stop();
    const noticed = () => gateway.output().match(/keys cannot be checked/g)?.length === 2;
    await eventually('both have noticed', noticed);
    expect(await everywhere(secrets.viewer)).toEqual([200]);
    expect(await everywhere(secrets.user)).not.toContain(200);
    await replaceWorkers(gateway);
    expect(await everywhere(secrets.viewer)).toEqual([200]);
    expect(await everywhere(secrets.user)).toEqual([503]);
  }, 60_000);

  it('none serves a key that was revoked before, though it was not used since, nor do those that start meanwhile', async () => {
    const { secrets, keyIds } = tenant;
    for (const secret of [secrets.user, secrets.viewer]) expect(await everywhere(secret)).toEqual([200]);
    await new ApiKeys(database).revoke(keyIds.user);
    await setTimeout(PROMISED_MS);
    await server.stop();
    const noticed = () => gateway.output().match(/keys cannot be checked/g)?.length === 2;
    await eventually('both have noticed', noticed);
    expect(await everywhere(secrets.viewer)).toEqual([200]);
    expect(await everywhere(secrets.user)).toEqual([503]);
    await replaceWorkers(gateway);
    expect(await everywhere(secrets.viewer)).toEqual([200]);
    expect(await everywhere(secrets.user)).toEqual([503]);
  }, 60_000);
});

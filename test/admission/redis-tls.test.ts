import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { chat, gatewayConfig, makeKey, makeTenant, send } from '../access/tenants.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { makeCertificate } from '../support/certificate.ts';
import { eventually, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { noRedis, type RedisServer, startRedis } from '../support/redis.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-tls-'));
const files = makeCertificate(dataDir, 'DNS:localhost,IP:127.0.0.1');

describe.skipIf(noRedis() !== undefined || files === undefined)('Redis over TLS', () => {
  let redis: RedisServer;
  let fake: FakeUpstream;
  let secret: string;
  const gateways: GatewayProcess[] = [];

  beforeAll(async () => {
    redis = await startRedis(files!);
    fake = await startFakeUpstream();
    const database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
    const { projectId } = await makeTenant(database, 'alpha');
    secret = (await makeKey(database, { name: 'k', projectId, limits: { requestsPerMinute: 4 } })).secret;
    await database.close();
  });

  afterAll(async () => {
    for (const gateway of gateways) await gateway.kill();
    await fake?.close();
    await redis?.remove();
    rmSync(dataDir, { recursive: true });
  });

  async function open(env: Record<string, string>): Promise<GatewayProcess> {
    const gateway = await startGatewayProcess(gatewayConfig(fake, { dataDir, redis: redis.url }), { env });
    gateways.push(gateway);
    return gateway;
  }

  const statusOf = async ({ url }: GatewayProcess) => (await chat(url, secret, 'model-of-alpha')).status;

  it('is believed by whoever knows its authority, and counts for two gateways together', async () => {
    expect(redis.url).toMatch(/^rediss:/);
    const two = [
      await open({ NODE_EXTRA_CA_CERTS: files!.cert }),
      await open({ NODE_EXTRA_CA_CERTS: files!.cert }),
    ];
    for (const { url } of two)
      await eventually(
        'Redis is used',
        async () => !(await send(url, '/readyz')).body.includes('limits are'),
      );
    const statuses: number[] = [];
    for (let i = 0; i < 3; i += 1) for (const gateway of two) statuses.push(await statusOf(gateway));
    expect(statuses).toEqual([200, 200, 200, 200, 429, 429]);
  });

  it('is not believed by others, who go on by themselves and say so', async () => {
    const gateway = await open({});
    expect((await send(gateway.url, '/readyz')).body).toContain('limits are not counted together');
    expect(gateway.output()).toMatch(/self-signed certificate/);
    expect(await statusOf(gateway)).toBe(200);
  });
});

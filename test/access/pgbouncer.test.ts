import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { eventually, startGatewayProcess } from '../support/gateway-process.ts';
import { noPgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { noPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';
import { bearer, chat, gatewayConfig, makeTenant, send } from './tenants.ts';

const cannot = noPostgres() !== undefined || noPgBouncer() !== undefined;

describe.skipIf(cannot)('PostgreSQL behind PgBouncer', () => {
  let server: PostgresServer;
  let fake: FakeUpstream;

  beforeAll(async () => {
    server = await startPostgres();
    fake = await startFakeUpstream();
  });

  afterAll(async () => {
    await fake?.close();
    await server?.remove();
  });

  it.each(['session', 'transaction'] as const)(
    'serves two gateways, in pool mode %s',
    async (mode) => {
      const bouncer = await startPgBouncer(await server.createDatabase(), mode);
      const dirs = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'qianmen-pgbouncer-')));
      const database = await openDatabase({ kind: 'postgres', url: bouncer.url });
      const { secrets, keyIds, model, projectId } = await makeTenant(database, 'alpha');
      const gateways = await Promise.all(
        dirs.map((dataDir) => startGatewayProcess(gatewayConfig(fake, { dataDir, database: bouncer.url }))),
      );
      try {
        const ask = (at: number) => chat(gateways[at]!.url, secrets.user, model);
        for (const at of [0, 1])
          await eventually('keys are known', async () => (await ask(at)).status === 200);
        await Promise.all(Array.from({ length: 100 }, (_, i) => ask(i % 2)));
        await eventually('all rows are there', async () => {
          const reply = await send(gateways[0]!.url, `/admin/usage?project=${projectId}&group_by=key`, {
            headers: bearer(secrets.viewer),
          });
          const { usage } = JSON.parse(reply.body) as { usage: { key: string; requests: number }[] };
          return usage.some(({ key, requests }) => key === keyIds.user && requests === 102);
        });
        const revoked = await send(gateways[0]!.url, `/admin/keys/${keyIds.user}/revoke`, {
          method: 'POST',
          headers: { ...bearer(secrets.admin), 'content-type': 'application/json' },
        });
        expect(revoked.status).toBe(200);
        await eventually('the other one knows', async () => (await ask(1)).status === 401, 2_000);
      } finally {
        await database.close();
        for (const gateway of gateways) await gateway.kill();
        await bouncer.remove();
        for (const dir of dirs) rmSync(dir, { recursive: true });
      }
    },
    60_000,
  );
});

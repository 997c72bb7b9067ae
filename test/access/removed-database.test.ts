import {
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { eventually, startGatewayProcess } from '../support/gateway-process.ts';
import { bearer, gatewayConfig, makeTenant, send } from './tenants.ts';

const removed = {
  what: 'taken away',
  harm: (path: string) => renameSync(path, `${path}-away`),
  mend: (path: string) => renameSync(`${path}-away`, path),
};
const emptied = {
  what: 'emptied',
  harm(path: string) {
    writeFileSync(`${path}-away`, readFileSync(path));
    truncateSync(path);
  },
  mend: (path: string) => writeFileSync(path, readFileSync(`${path}-away`)),
};

it.each([removed, emptied])(
  'a worker that starts while somebody has $what the database makes no empty one, and lets nobody in who was not known',
  async ({ harm, mend }) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-access-'));
    const path = join(dataDir, 'qianmen.db');
    const database = await openDatabase({ kind: 'sqlite', path });
    const { secrets, model } = await makeTenant(database, 'alpha');
    await database.close();
    const fake = await startFakeUpstream();
    const gateway = await startGatewayProcess(gatewayConfig(fake, { dataDir, listen: { workers: 2 } }));
    /** The statuses of chats over connections of their own: workers take turns. */
    const ask = async (secret: string | undefined) => {
      const statuses = new Set<number>();
      for (let i = 0; i < 6; i++) {
        const { status } = await send(gateway.url, '/v1/chat/completions', {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            connection: 'close',
            ...(secret === undefined ? {} : bearer(secret)),
          },
          body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello.' }] }),
        });
        statuses.add(status);
      }
      return [...statuses];
    };
    try {
      expect(await ask(secrets.user)).toEqual([200]);
      harm(path);
      const noticed = () => gateway.output().match(/keys cannot be checked/g)?.length === 2;
      await eventually('both notice it', noticed);
      for (const [i, pid] of gateway.enginePids().entries()) {
        process.kill(pid, 'SIGKILL');
        const replaced = () => gateway.output().match(/"msg":"worker replaced"/g)?.length === i + 1;
        await eventually('a worker is replaced', replaced, 30_000);
      }
      expect(statSync(path, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
      expect(await ask(undefined)).toEqual([401]);
      expect(await ask(secrets.user)).toEqual([200]);
      expect(await ask(secrets.viewer)).toEqual([503]);
      mend(path);
      const isServed = async () => String(await ask(secrets.viewer)) === '200';
      await eventually('it is used again', isServed);
    } finally {
      await gateway.kill();
      await fake.close();
      rmSync(dataDir, { recursive: true });
    }
  },
);

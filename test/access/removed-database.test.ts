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
import { gatewayConfig, makeTenant } from './tenants.ts';
import { askEverywhere, replaceWorkers } from './workers.ts';

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
    const ask = (secret: string | undefined) => askEverywhere(gateway.url, model, secret);
    try {
      expect(await ask(secrets.user)).toEqual([200]);
      harm(path);
      const noticed = () => gateway.output().match(/keys cannot be checked/g)?.length === 2;
      await eventually('both notice it', noticed);
      await replaceWorkers(gateway);
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

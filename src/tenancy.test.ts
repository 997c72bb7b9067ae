import { readdirSync, readlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { configSchema } from '../config/schema.ts';
import { newDataDir } from '../test/support/data-dir.ts';
import { createLogger } from './telemetry/log.ts';
import { openTenancy, type Tenancy } from './tenancy.ts';

/** @param url Where alarms of budgets go */
function open(dataDir: string, url: string): Promise<Tenancy> {
  const webhook = { url, secret: 'a secret of its own' };
  const config = configSchema.parse({
    dataDir,
    upstreams: [{ name: 'u', url: 'http://127.0.0.1:9/v1' }],
    models: [{ name: 'm', deployments: [{ upstream: 'u' }] }],
    budgets: { webhook },
  });
  return openTenancy({ config, logger: createLogger('silent'), emit: () => {} });
}

function openFiles(folder: string): string[] {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The one that was used to read the list.
      return '';
    }
  });
  return links.filter((path) => path.startsWith(folder));
}

it('nothing stays open where the start fails midway', async () => {
  const dataDir = newDataDir();
  const tenancy = await open(dataDir, 'http://127.0.0.1:9/alarms');
  expect(openFiles(dataDir)).not.toEqual([]);
  await tenancy.close();
  expect(openFiles(dataDir)).toEqual([]);

  await expect(open(dataDir, 'http://hooks.example/alarms')).rejects.toThrow('must be https');
  expect(openFiles(dataDir)).toEqual([]);
});

it('admits nobody, and so is not ready, while the database has been away since the start', async () => {
  const config = configSchema.parse({ dataDir: newDataDir(), database: 'postgres://127.0.0.1:1/away' });
  const tenancy = await openTenancy({ config, logger: createLogger('silent'), emit: () => {} });
  expect(tenancy.admitsNobody()).toBe(true);
  expect(tenancy.problems()).toContain('API keys cannot be checked');
  await tenancy.close();
});

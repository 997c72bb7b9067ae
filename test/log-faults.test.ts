import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { startFakeUpstream } from './fakes/openai-upstream.ts';
import { freePort } from './support/free-port.ts';
import { chatBody, eventually, postChat } from './support/gateway-process.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

describe('logs that cannot be written', () => {
  it.skipIf(!existsSync('/dev/full')).each([
    ['one process', 1],
    ['workers', 2],
  ])('keep nothing from being served, nor %s from ending', async (_, workers) => {
    const fake = await startFakeUpstream();
    const port = await freePort();
    const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-full-'));
    const file = join(dataDir, 'qianmen.yaml');
    writeFileSync(
      file,
      stringify({
        dataDir,
        listen: { port, workers },
        upstreams: [{ name: 'fake', url: fake.url }],
        models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
      }),
    );
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [MAIN, 'serve', '--config', file], {
      stdio: ['ignore', full, 'ignore'],
    });
    closeSync(full);
    const url = `http://127.0.0.1:${port}`;
    const answers = async () =>
      (await postChat(url, chatBody('m')).then(
        (reply) => reply.text().then(() => reply.status),
        () => 0,
      )) === 200;
    try {
      await eventually('it serves', answers, 20_000);
      for (let i = 0; i < 20; i++) expect(await answers()).toBe(true);
      child.kill('SIGTERM');
      const [code] = (await once(child, 'exit')) as [number];
      expect(code).toBe(0);
    } finally {
      child.kill('SIGKILL');
      await fake.close();
    }
  });
});

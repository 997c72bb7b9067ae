import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const AS_FIRST = ['--pid', '--fork', '--kill-child'];

it.skipIf(spawnSync('unshare', [...AS_FIRST, 'true']).status !== 0).each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('the first process of a container ends with %s also while it starts', async (signal, code) => {
  // It waits for a database that says nothing.
  const database = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void database.close());
  await once(database, 'listening');
  const { port } = database.address() as AddressInfo;
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-first-'));
  const file = join(dataDir, 'qianmen.yaml');
  writeFileSync(file, JSON.stringify({ dataDir, database: `postgres://u:p@127.0.0.1:${port}/q` }));
  const command = [process.execPath, MAIN, 'serve', '--config', file, '--port', '0'];
  const container = spawn('unshare', [...AS_FIRST, ...command], { stdio: 'ignore' });
  onTestFinished(() => void container.kill('SIGKILL'));
  const exited = once(container, 'exit');
  const [waiting] = await once(database, 'connection');
  onTestFinished(() => waiting.destroy());
  const { pid } = container;
  process.kill(Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')), signal);
  expect((await exited)[0]).toBe(code);
});

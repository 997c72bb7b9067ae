import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkConfig } from '../config/load.ts';
import type { RunningGateway } from '../src/running-gateway.ts';
import { startGateway } from '../src/serve.ts';
import { type FakeUpstream, startFakeUpstream } from './fakes/openai-upstream.ts';
import { REAL_MODEL, realModelPath } from './model-file.ts';
import { newDataDir } from './support/data-dir.ts';
import { k6Path } from './tools/k6.ts';
import { pythonMissing } from './tools/python.ts';

const script = fileURLToPath(new URL('../bench/k6/smoke.js', import.meta.url));
const DURATION = '3s';

interface K6Result {
  readonly code: number;
  readonly output: string;
}

function k6(url: string, env: Record<string, string>): Promise<K6Result> {
  const settings = Object.entries({ BASE_URL: url, DURATION, ...env }).flatMap(([k, v]) => [
    '-e',
    `${k}=${v}`,
  ]);
  const args = ['run', '--no-color', '--quiet', '--address', '', ...settings, script];
  return new Promise((resolve) => {
    execFile(k6Path(), args, { env: { PATH: '', K6_NO_USAGE_REPORT: 'true' } }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: `${stdout}\n${stderr}`.slice(0, 8_000) }),
    );
  });
}

describe.skipIf(pythonMissing())('k6 smoke', () => {
  let upstream: FakeUpstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startFakeUpstream({ models: ['fast'], behaviour: { ttftMs: 5, itlMs: 1, tokens: 16 } });
    const config = checkConfig(
      {
        listen: { port: 0 },
        dataDir: newDataDir(),
        log: { level: 'silent' },
        engines: [{ path: realModelPath(), name: REAL_MODEL, slots: 4 }],
        upstreams: [{ name: 'fake', url: upstream.url }],
        models: [{ name: 'fast', deployments: [{ upstream: 'fake' }] }],
      },
      'test',
    );
    gateway = await startGateway(config);
    await gateway.enginesSettled;
  });

  afterAll(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  it('passes on a fast upstream', async () => {
    const { code, output } = await k6(gateway.url, { MODEL: 'fast', VUS: '8' });
    expect(code, output).toBe(0);
    expect(gateway.gateway.inFlight).toBe(0);
  });

  it('passes on the embedded model', async () => {
    const { code, output } = await k6(gateway.url, { MODEL: REAL_MODEL, VUS: '2', MAX_TOKENS: '8' });
    expect(code, output).toBe(0);
    expect(gateway.gateway.inFlight).toBe(0);
  });

  it('fails, and says why, when streams break off', async () => {
    upstream.setBehaviour({ tokens: 16, itlMs: 5, errorAfterEvents: 4 });
    const { code, output } = await k6(gateway.url, { MODEL: 'fast', VUS: '2', DURATION: '1s' });
    expect(code).toBe(99);
    expect(output).toMatch(/chat, streamed, usage: .*\[DONE\] came 0 times/);
  });
});

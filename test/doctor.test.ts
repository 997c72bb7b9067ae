import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Check } from '../src/doctor/check.ts';
import { startFakeUpstream } from './fakes/openai-upstream.ts';
import { startGatewayProcess } from './support/gateway-process.ts';
import { writeTinyChatModel } from './tiny-chat-model.ts';
import { rawServer } from './upstream/harness.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qianmen-doctor-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function doctor(config: object | string, ...flags: string[]): Promise<Outcome> {
  const file = join(folder, 'qianmen.yaml');
  writeFileSync(file, typeof config === 'string' ? config : stringify({ dataDir: folder, ...config }));
  const child = spawn(process.execPath, [MAIN, 'doctor', '--config', file, ...flags]);
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => {
      output[stream] += chunk.toString();
    });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, ...output };
}

async function checks(
  config: object,
  ...flags: string[]
): Promise<{ code: number | null; byName: Map<string, Check> }> {
  const { code, stdout } = await doctor(config, '--json', ...flags);
  const report = JSON.parse(stdout) as { ok: boolean; checks: Check[] };
  expect(report.ok).toBe(code === 0);
  return { code, byName: new Map(report.checks.map((check) => [check.name, check])) };
}

it('does not take a gateway that serves already for something wrong', async () => {
  const fake = await startFakeUpstream();
  const config = {
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  };
  const gateway = await startGatewayProcess(config);
  const { port } = new URL(gateway.url);
  const { code, byName } = await checks({ ...config, listen: { port: Number(port) } });
  await gateway.kill();
  await fake.close();
  expect(code).toBe(0);
  expect(byName.get(`127.0.0.1:${port}`)).toMatchObject({
    status: 'warning',
    detail: expect.stringMatching(/^a gateway is there, and says that it is (not )?ready$/),
  });
});

it('finds nothing wrong where nothing is, and tells what each model can do', async () => {
  const fake = await startFakeUpstream();
  const path = writeTinyChatModel(join(folder, 'tiny.gguf'));
  const { code, byName } = await checks({
    listen: { port: 0 },
    engines: [{ path, slots: 4, threads: 1, contextTokens: 256 }],
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  });
  await fake.close();
  expect([...byName.values()].filter(({ status }) => status === 'failed')).toEqual([]);
  expect(code).toBe(0);
  expect(byName.get('fake')?.detail).toContain('fake-model');
  const { facts, detail } = byName.get('tiny')!;
  expect(detail).toMatch(/F32\n +|F32\n/);
  expect(facts).toMatchObject({ architecture: 'llama', slots: 4, contextTokens: 256, threads: 1, path });
  const { speed, rssBytes, kvBytes } = facts as {
    speed: Record<string, number>;
    rssBytes: number;
    kvBytes: number;
  };
  for (const figure of ['prefill', 'decode', 'decodeTogether']) expect(speed[figure]).toBeGreaterThan(0);
  expect(speed.together).toBe(4);
  expect(rssBytes).toBeGreaterThan(kvBytes);
});

it('names each thing that is wrong, with what to do about it, and exits with 1', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  const fake = await startFakeUpstream();
  const broken = join(folder, 'broken.gguf');
  writeFileSync(broken, 'GGUF, or so it says');
  const outcome = await doctor({
    listen: { port },
    engines: [{ path: broken }, { path: join(folder, 'none.gguf') }, { model: 'qwen3-0.6b' }],
    upstreams: [
      { name: 'fake', url: fake.url },
      { name: 'gone', url: 'http://127.0.0.1:9/v1' },
    ],
    models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'not-there' }] }],
  });
  await fake.close();
  taken.close();
  expect(outcome.code).toBe(1);
  for (const wrong of [
    `✗ 127.0.0.1:${port}: taken`,
    '✗ fake: ',
    'does not list not-there',
    '✗ gone: ',
    'ECONNREFUSED',
    '✗ broken: ',
    '✗ none: there is no ',
    '✗ qwen3-0.6b: not fetched yet',
    '→ qianmen pull qwen3-0.6b',
    '6 things are wrong.',
  ])
    expect(outcome.stdout).toContain(wrong);
  expect(outcome.stderr).toContain('asking upstreams');
});

/** As Go answers who speaks plain HTTP where it speaks TLS. */
function wantsTls(): Promise<string> {
  const words = 'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.';
  return rawServer((socket) => socket.once('data', () => socket.end(words)));
}

it('finds the API root where the URL of an upstream names the server, or a path below it', async () => {
  const fake = await startFakeUpstream();
  const { code, byName } = await checks({
    listen: { port: 0 },
    upstreams: [
      { name: 'server', url: fake.url.replace('/v1', '') },
      { name: 'path', url: `${fake.url}/models` },
      { name: 'nothing', url: `${fake.url}/elsewhere` },
      { name: 'tls', url: fake.url.replace('http:', 'https:') },
      { name: 'wants-tls', url: await wantsTls() },
    ],
  });
  await fake.close();
  expect(code).toBe(1);
  for (const name of ['server', 'path'])
    expect(byName.get(name)).toMatchObject({
      status: 'failed',
      fix: `Set its url to the API root: ${fake.url}`,
    });
  expect(byName.get('nothing')).toMatchObject({
    status: 'warning',
    detail: expect.stringContaining('HTTP 404'),
  });
  expect(byName.get('tls')?.fix).toContain('http://');
  expect(byName.get('wants-tls')).toMatchObject({
    status: 'failed',
    fix: expect.stringContaining('https://'),
  });
  expect([...byName].find(([name]) => name.endsWith('qianmen.yaml'))?.[1]).toMatchObject({
    status: 'failed',
    fix: expect.stringContaining('Nothing is served'),
  });
});

it('weighs what models may come to take against the budget and what their processes may take', async () => {
  const path = writeTinyChatModel(join(folder, 'tiny.gguf'));
  const { code, byName } = await checks({
    listen: { port: 0 },
    memoryBudgetBytes: 100 * 2 ** 20,
    engines: [{ path, threads: 1, memoryLimitBytes: 2 ** 30, prefixCacheBytes: 2 ** 31 }],
  });
  expect(code).toBe(1);
  expect(byName.get('tiny')).toMatchObject({
    status: 'warning',
    fix: expect.stringMatching(
      /^memoryLimitBytes: .* may come to take 2\.\d\d GiB, and is ended above 1\.00 GiB\. /,
    ),
  });
  expect(byName.get('memory budget')).toMatchObject({
    status: 'failed',
    detail: expect.stringMatching(/^100 MiB; /),
  });
});

it('says what is wrong with a configuration that cannot be read, and shows no key of it', async () => {
  const { code, stdout } = await doctor(
    'upstreams: [{ name: a, url: 7, apiKey: secret-key }]\nlisten: { port: x }',
  );
  expect(code).toBe(1);
  expect(stdout).toMatch(/✗ file: \S*qianmen\.yaml does not fit/);
  expect(stdout.match(/qianmen\.yaml/g)).toHaveLength(1);
  expect(stdout).toContain('upstreams[0].url');
  expect(stdout).not.toContain('secret-key');
});

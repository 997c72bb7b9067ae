import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../kernels/random.ts';
import type { LocalModelView } from '../../src/api/admin/model-routes.ts';
import {
  chatBody,
  eventually,
  type GatewayProcess,
  metric,
  postChat,
  startGatewayProcess,
} from '../support/gateway-process.ts';
import { tinyChatEngine, writeTinyChatModel } from '../tiny-chat-model.ts';

let folder: string;
let gateway: GatewayProcess;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qianmen-faults-'));
});

afterEach(async () => {
  await gateway?.kill();
  rmSync(folder, { recursive: true });
});

function engine(name: string, settings: object = {}) {
  return tinyChatEngine(folder, name, settings);
}

async function chat(model: string, headers: Record<string, string> = {}): Promise<number> {
  const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: chatBody(model, { max_tokens: 2 }),
  });
  await reply.text();
  return reply.status;
}

async function view(name: string): Promise<LocalModelView> {
  const { models } = (await (await fetch(`${gateway.url}/admin/models/${name}`)).json()) as {
    models: LocalModelView[];
  };
  return models[0]!;
}

/** Starts `a`, which is the one to fail, and `b`. Resolves to the process of `a`. */
async function startTwo(): Promise<number> {
  gateway = await startGatewayProcess({ engines: [engine('a'), engine('b')] });
  for (const name of ['a', 'b'])
    await eventually(`${name} is ready`, async () => (await view(name)).state === 'ready', 20_000);
  return (await view('a')).pid as number;
}

/** Asks `b` again and again until told to stop. Resolves to the replies' statuses. */
function keepAsking(): () => Promise<readonly number[]> {
  let asking = true;
  const statuses: number[] = [];
  const client = (async () => {
    while (asking) statuses.push(await chat('b'));
  })();
  return async () => {
    asking = false;
    await client;
    return statuses;
  };
}

async function nothingInFlight(): Promise<void> {
  await eventually(
    'nothing is in flight',
    async () => (await metric(gateway.url, 'qianmen_requests_in_flight')) === 0,
  );
  expect(await metric(gateway.url, 'qianmen_backend_requests_in_flight')).toBe(0);
  expect(await metric(gateway.url, 'qianmen_backend_queue_length')).toBe(0);
}

describe('of two local models', () => {
  it('one whose process is killed costs its own replies only, and comes back', async () => {
    const pid = await startTwo();
    const stop = keepAsking();
    const body = chatBody('a', { stream: true, max_tokens: 400, ignore_eos: true });
    const streams = await Promise.all([postChat(gateway.url, body), postChat(gateway.url, body)]);
    process.kill(pid, 'SIGKILL');
    // A reply may have ended a moment before.
    for (const stream of streams) expect(await stream.text()).toMatch(/"error"|\[DONE\]/);
    await eventually('a serves again', async () => (await chat('a')) === 200, 20_000);
    expect(new Set(await stop())).toEqual(new Set([200]));
    await nothingInFlight();
  });

  it('one whose process hangs holds up its own requests only, no longer than they have time', async () => {
    const pid = await startTwo();
    process.kill(pid, 'SIGSTOP');
    const stop = keepAsking();
    const statuses = await Promise.all([1, 2].map(() => chat('a', { 'x-qianmen-timeout-ms': '300' })));
    expect(statuses).toEqual([504, 504]);
    expect(new Set(await stop())).toEqual(new Set([200]));
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    expect(await metric(gateway.url, 'qianmen_requests_in_flight')).toBe(0);
    process.kill(pid, 'SIGCONT');
    expect(await chat('a')).toBe(200);
    await nothingInFlight();
  });
});

describe('a model that may take less memory than it needs', () => {
  it('is ended while it loads, says so with numbers, and is not tried again at once', async () => {
    gateway = await startGatewayProcess({
      engines: [engine('a', { memoryLimitBytes: 60 * 2 ** 20 }), engine('b')],
    });
    await eventually('a has failed', async () => (await view('a')).state === 'failed', 20_000);
    expect((await view('a')).detail).toMatch(/took \d+ MiB of memory and may take 60/);
    expect(await chat('a')).toBe(503);
    await eventually('b is ready', async () => (await view('b')).state === 'ready', 20_000);
    for (let i = 0; i < 10; i++) expect(await chat('b')).toBe(200);
    expect(gateway.output().match(/"engine":"a","state":"starting"/g)).toHaveLength(1);
    expect(gateway.enginePids()).toHaveLength(1);
    await nothingInFlight();
  });
});

describe('model files that are damaged', () => {
  it('are loaded or refused with a reason; neither the gateway nor another model notices', async () => {
    gateway = await startGatewayProcess({ engines: [engine('b')] });
    const whole = readFileSync(writeTinyChatModel(join(folder, 'whole.gguf')));
    const random = seededRandom(7);
    const damaged = [
      whole.subarray(0, 3),
      whole.subarray(0, whole.length / 2),
      whole.subarray(0, whole.length - 64),
      Buffer.alloc(whole.length, 0xff),
      ...[12, 200, 2_000, 6_000].map((span) => {
        const copy = Buffer.from(whole);
        for (let i = 0; i < 4; i++) copy[8 + Math.floor(random() * span)] = Math.floor(random() * 256);
        return copy;
      }),
    ];
    for (const [i, bytes] of damaged.entries()) {
      const path = join(folder, `damaged-${i}.gguf`);
      writeFileSync(path, bytes);
      const reply = await fetch(`${gateway.url}/admin/models/damaged-${i}/load`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ path, threads: 1, slots: 1, prefixCacheBytes: 0 }),
      });
      const text = await reply.text();
      expect([200, 503]).toContain(reply.status);
      if (reply.status === 503) expect(text).toContain(path);
      if (i < 4) expect(reply.status).toBe(503);
      expect(await chat('b')).toBe(200);
    }
    await nothingInFlight();
  });
});

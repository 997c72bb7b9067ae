import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
  folder = mkdtempSync(join(tmpdir(), 'qianmen-local-'));
});

afterEach(async () => {
  await gateway?.kill();
  rmSync(folder, { recursive: true });
});

function engine(name: string, settings: object = {}) {
  return tinyChatEngine(folder, name, settings);
}

async function start(engines: readonly object[], rest: object = {}): Promise<void> {
  gateway = await startGatewayProcess({ engines, ...rest });
}

async function chat(model: string, extra: object = {}): Promise<number> {
  const reply = await postChat(gateway.url, chatBody(model, { max_tokens: 2, ...extra }));
  await reply.text();
  return reply.status;
}

async function view(name: string): Promise<LocalModelView | undefined> {
  const { models } = (await (await fetch(`${gateway.url}/admin/models`)).json()) as {
    models: LocalModelView[];
  };
  return models.find((model) => model.name === name && !model.leaving);
}

async function admin(method: 'POST' | 'DELETE', path: string, body?: object) {
  const reply = await fetch(`${gateway.url}/admin/models/${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: reply.status, text: await reply.text() };
}

const becomes = (name: string, state: LocalModelView['state']) =>
  eventually(`${name} is ${state}`, async () => (await view(name))?.state === state, 20_000);

const LONG = { stream: true, max_tokens: 400, ignore_eos: true, temperature: 0 };

describe('a model that is loaded on demand', () => {
  it('has no process until the first request, which waits for it; so do others, and streams get heartbeats', async () => {
    await start([engine('a', { load: 'demand' })], { listen: { heartbeatMs: 50 } });
    expect(gateway.enginePids()).toEqual([]);
    expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
    expect(await metric(gateway.url, 'qianmen_backend_up')).toBe(1);
    expect(await view('a')).toMatchObject({ state: 'unloaded', lastUsed: null, loadedSince: null });
    const stream = postChat(gateway.url, chatBody('a', { stream: true, max_tokens: 2 })).then((r) =>
      r.text(),
    );
    expect(await Promise.all([chat('a'), chat('a')])).toEqual([200, 200]);
    const text = await stream;
    expect(text.startsWith(': heartbeat')).toBe(true);
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(gateway.enginePids()).toHaveLength(1);
    expect(await view('a')).toMatchObject({ state: 'ready', architecture: 'llama', slots: 2, inFlight: 0 });
  });

  it('is given up by a request whose time is over, and by no other', async () => {
    await start([engine('a', { load: 'demand' })]);
    const other = chat('a');
    const hasty = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-qianmen-timeout-ms': '20' },
      body: chatBody('a'),
    });
    expect(hasty.status).toBe(504);
    expect(await other).toBe(200);
    expect(await metric(gateway.url, 'qianmen_requests_in_flight')).toBe(0);
    expect(await metric(gateway.url, 'qianmen_backend_requests_in_flight')).toBe(0);
  });

  it('lets no more requests wait than its queue has places', async () => {
    await start([engine('a', { load: 'demand', queueLimit: 2 })]);
    const statuses = await Promise.all(Array.from({ length: 5 }, () => chat('a')));
    expect(statuses.sort()).toEqual([200, 200, 503, 503, 503]);
  });

  it('whose file cannot be used is refused with backoff, while others are served', async () => {
    const path = join(folder, 'broken.gguf');
    writeFileSync(path, 'GGUF, or so it says');
    await start([engine('a'), { name: 'broken', path, load: 'demand' }]);
    expect(await chat('broken')).toBe(503);
    expect(await view('broken')).toMatchObject({ state: 'failed', detail: expect.stringContaining(path) });
    const reply = await postChat(gateway.url, chatBody('broken'));
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(1);
    for (let i = 0; i < 20; i++) expect(await chat('broken')).toBe(503);
    expect(gateway.output().match(/"engine":"broken","state":"starting"/g)).toHaveLength(1);
    expect(await chat('a')).toBe(200);
  });
});

describe('a model that is kept for a while', () => {
  it('is taken out of memory when idle, not while it works, and the next request brings it back', async () => {
    await start([engine('a', { keepAliveMs: 300 })]);
    await becomes('a', 'ready');
    const [pid] = gateway.enginePids();
    const reply = await postChat(gateway.url, chatBody('a', LONG));
    const text = await reply.text();
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    await becomes('a', 'unloaded');
    expect(await view('a')).toMatchObject({ detail: 'idle for 300 ms', memory: { budgetedBytes: 0 } });
    expect(gateway.enginePids()).toEqual([]);
    expect(await chat('a')).toBe(200);
    expect(gateway.enginePids()).not.toContain(pid);
    expect(gateway.output()).toContain('"change":"unloaded","reason":"idle"');
  });
});

describe('a budget of memory', () => {
  const memoryBudgetBytes = 600 * 2 ** 20;

  it('has the longest idle model make room for one that is asked for', async () => {
    await start(
      ['a', 'b', 'c'].map((name) => engine(name, { load: 'demand', prefixCacheBytes: 100 * 2 ** 20 })),
      { memoryBudgetBytes },
    );
    for (const name of ['a', 'b', 'a', 'c']) expect(await chat(name)).toBe(200);
    expect((await view('b'))?.detail).toBe('made room for c');
    expect([(await view('a'))?.state, (await view('b'))?.state, (await view('c'))?.state]).toEqual([
      'ready',
      'unloaded',
      'ready',
    ]);
    expect(gateway.enginePids()).toHaveLength(2);
    const { memory } = (await (await fetch(`${gateway.url}/admin/models`)).json()) as {
      memory: { budgetedBytes: number; residentBytes: number };
    };
    expect(memory.budgetedBytes).toBeLessThanOrEqual(memoryBudgetBytes);
    expect(memory.residentBytes).toBeGreaterThan(0);
    expect(await metric(gateway.url, 'qianmen_local_model_budgeted_bytes')).toBe(memory.budgetedBytes);
  });

  it('refuses what fits beside no busy model, with numbers for operators only', async () => {
    await start(
      [engine('a', { load: 'demand' }), engine('large', { load: 'demand', prefixCacheBytes: 300 * 2 ** 20 })],
      { memoryBudgetBytes },
    );
    const running = await postChat(gateway.url, chatBody('a', LONG));
    const reader = running.body?.getReader();
    await reader?.read();
    // It may be over before the other was refused; then there was room.
    const refused = await postChat(gateway.url, chatBody('large', { max_tokens: 2 }));
    const body = await refused.text();
    if (refused.status === 503) {
      expect(body).not.toMatch(/MiB|memoryBudget/);
      expect((await view('large'))?.detail).toMatch(
        /large may come to take \d+ MiB.*allows 600 MiB.*a has \d+ MiB/,
      );
    }
    await reader?.cancel();
    await eventually('a is idle', async () => (await view('a'))?.inFlight === 0);
    expect(await chat('large')).toBe(200);
    expect((await view('a'))?.state).toBe('unloaded');
  });

  it('refuses a configuration whose models do not fit, and names the numbers', async () => {
    await expect(start([engine('a'), engine('b')], { memoryBudgetBytes: 300 * 2 ** 20 })).rejects.toThrow(
      /may come to take \d+ MiB, and memoryBudgetBytes allows 300 MiB/,
    );
  });
});

describe('an operator', () => {
  it('unloads a model once its replies have finished; it answers 503 until it is loaded again', async () => {
    await start([engine('a')]);
    await becomes('a', 'ready');
    const running = await postChat(gateway.url, chatBody('a', LONG));
    const unloaded = admin('POST', 'a/unload');
    expect((await running.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect((await unloaded).status).toBe(200);
    expect(gateway.enginePids()).toEqual([]);
    expect(await chat('a')).toBe(503);
    expect(await view('a')).toMatchObject({ state: 'unloaded', detail: 'unloaded by an operator' });
    expect((await admin('POST', 'a/load')).status).toBe(200);
    expect(await chat('a')).toBe(200);
    expect((await admin('POST', 'a/unload?wait=false')).status).toBe(202);
    await becomes('a', 'unloaded');
    expect((await admin('POST', 'a/load?wait=false')).status).toBe(202);
    await becomes('a', 'ready');
  });

  it('adds a model that is served under its name, and removes it', async () => {
    await start([engine('a')]);
    const { name: _, ...added } = engine('added');
    expect((await admin('POST', 'added/load', added)).status).toBe(200);
    expect(await chat('added')).toBe(200);
    expect((await view('added'))?.origin).toBe('operator');
    gateway.child.kill('SIGHUP');
    await eventually('it is read again', () => gateway.output().includes('configuration reloaded'));
    expect(await chat('added')).toBe(200);
    expect((await admin('DELETE', 'added')).status).toBe(200);
    expect(await chat('added')).toBe(404);
    expect((await admin('DELETE', 'added')).status).toBe(404);
    expect((await admin('DELETE', 'a')).status).toBe(400);
  });

  it('puts another file in the place of a model, with no request lost; one that fails changes nothing', async () => {
    await start([engine('a')]);
    await becomes('a', 'ready');
    const [pid] = gateway.enginePids();
    const running = await postChat(gateway.url, chatBody('a', LONG));
    let asking = true;
    const statuses: number[] = [];
    const client = (async () => {
      while (asking) statuses.push(await chat('a'));
    })();
    const { name: _, ...next } = engine('next', { slots: 3 });
    expect((await admin('POST', 'a/load', next)).status).toBe(200);
    expect(await view('a')).toMatchObject({ slots: 3, path: next.path, origin: 'operator' });
    const broken = join(folder, 'broken.gguf');
    writeFileSync(broken, 'no model');
    const refused = await admin('POST', 'a/load', { path: broken });
    expect(refused).toMatchObject({ status: 503, text: expect.stringContaining('broken.gguf') });
    asking = false;
    await client;
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect((await running.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    await eventually('the old process is gone', () => !gateway.enginePids().includes(pid as number));
    expect(await view('a')).toMatchObject({ slots: 3, state: 'ready' });
    expect((await admin('DELETE', 'a')).status).toBe(200);
    expect(await view('a')).toMatchObject({ slots: 2, origin: 'configuration' });
  });

  it('is told what is wrong with a model to be loaded', async () => {
    await start([]);
    for (const [body, said] of [
      [{ slots: 0, path: '/x' }, 'slots'],
      [{ slots: 2 }, 'model'],
      [{ path: '/no/such/file.gguf' }, 'path'],
      [{ model: 'no-such-model' }, 'no-such-model'],
      [{ path: '/x', name: 'other' }, 'name'],
      [{ path: '/x', colour: 'red' }, 'colour'],
    ] as const) {
      const reply = await admin('POST', 'x/load', body);
      expect(reply.status, said).toBe(400);
      expect(reply.text).toContain(said);
      expect(await view('x')).toBeUndefined();
    }
  });

  it('is at the machine: others get 403, and unknown names 404', async () => {
    await start([]);
    const foreign = await fetch(`${gateway.url}/admin/models`, {
      headers: { origin: 'http://page.example' },
    });
    expect(foreign.status).toBe(403);
    expect((await admin('POST', 'nobody/load')).status).toBe(404);
    expect((await admin('POST', 'nobody/unload')).status).toBe(404);
    const wrong = await fetch(`${gateway.url}/admin/models/a`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    expect(wrong.status).toBe(405);
  });
});

describe('a model file', () => {
  it('that was exchanged under its name is noticed at the next reload, and only then', async () => {
    const a = engine('a');
    await start([a, engine('b')]);
    await becomes('a', 'ready');
    await becomes('b', 'ready');
    const before = gateway.enginePids();
    writeTinyChatModel(a.path, { seed: 2 });
    const running = await postChat(gateway.url, chatBody('a', LONG));
    gateway.child.kill('SIGHUP');
    await eventually('it is read again', () => gateway.output().includes('replaced: a;'), 20_000);
    expect((await running.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    await eventually('one process was replaced', () => gateway.enginePids().length === 2);
    expect(gateway.enginePids().filter((pid) => before.includes(pid))).toHaveLength(1);
    expect(await chat('a')).toBe(200);
  });

  it('that allows less context than the configuration wants is served with less, and a warning', async () => {
    await start([engine('a', { contextTokens: 4_000 })]);
    await becomes('a', 'ready');
    await eventually('it warns', () => /"level":40.*"configured":4000,"used":512/.test(gateway.output()));
    expect((await view('a'))?.contextTokens).toBe(512);
  });
});

import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from './fakes/openai-upstream.ts';
import { realModelPath } from './model-file.ts';
import {
  chatBody,
  eventually,
  type GatewayProcess,
  metric,
  postChat,
  startGatewayProcess,
} from './support/gateway-process.ts';
import { tinyChatEngine } from './tiny-chat-model.ts';

let gateway: GatewayProcess | undefined;
const fakes: FakeUpstream[] = [];

afterEach(async () => {
  await gateway?.kill();
  gateway = undefined;
  await Promise.all(fakes.splice(0).map((fake) => fake.close()));
});

async function startFake(): Promise<FakeUpstream> {
  const fake = await startFakeUpstream();
  fakes.push(fake);
  return fake;
}

async function start(config: object): Promise<GatewayProcess> {
  gateway = await startGatewayProcess(config);
  return gateway;
}

function serving(...upstreams: readonly [name: string, fake: FakeUpstream][]) {
  return {
    upstreams: upstreams.map(([name, { url }]) => ({ name, url })),
    models: upstreams.map(([name]) => ({
      name: `m-${name}`,
      deployments: [{ upstream: name, model: 'fake-model' }],
    })),
  };
}

async function status(gateway: GatewayProcess, model: string): Promise<number> {
  const reply = await postChat(gateway.url, chatBody(model));
  await reply.text();
  return reply.status;
}

async function readyz(gateway: GatewayProcess) {
  return (await (await fetch(`${gateway.url}/readyz`)).json()) as {
    backends: Record<string, { state: string; detail?: string }>;
    config?: { status: string; detail: string };
  };
}

function reloads(gateway: GatewayProcess): number {
  return gateway.output().match(/"msg":"configuration re(loaded|fused)/g)?.length ?? 0;
}

/** Returns once a reload after the change has been tried. */
async function reload(gateway: GatewayProcess, change: () => void): Promise<void> {
  const before = reloads(gateway);
  change();
  await eventually('the configuration is read again', () => reloads(gateway) > before);
}

describe('a changed configuration file', () => {
  it('is noticed, and adds a model while the rest goes on', async () => {
    const [a, b] = [await startFake(), await startFake()];
    const gateway = await start(serving(['a', a]));
    expect(await status(gateway, 'm-a')).toBe(200);
    const connections = a.connections();
    expect(await status(gateway, 'm-b')).toBe(404);
    await reload(gateway, () => gateway.reconfigure(serving(['a', a], ['b', b])));
    expect(await status(gateway, 'm-b')).toBe(200);
    // The connection of before still serves: the upstream was not made anew.
    expect(await status(gateway, 'm-a')).toBe(200);
    expect(a.connections()).toBe(connections);
  });

  it('lets running streams of a removed upstream finish, then closes it', async () => {
    const [a, b] = [await startFake(), await startFake()];
    a.setBehaviour({ tokens: 60, holdAfterEvents: 30 });
    const gateway = await start(serving(['a', a], ['b', b]));
    const streams = await Promise.all(
      Array.from({ length: 4 }, () =>
        postChat(gateway.url, chatBody('m-a', { stream: true, max_tokens: 60 })),
      ),
    );
    await reload(gateway, () => gateway.reconfigure(serving(['b', b])));
    expect(await status(gateway, 'm-a')).toBe(404);
    expect(await status(gateway, 'm-b')).toBe(200);
    expect(a.inFlight()).toBe(4);
    expect(await metric(gateway.url, 'qianmen_backend_requests_in_flight')).toBe(4);
    a.release();
    for (const stream of streams) {
      const text = await stream.text();
      expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
      expect(text.match(/"content":/g)?.length).toBeGreaterThanOrEqual(60);
    }
    const samples = async () =>
      (await (await fetch(`${gateway.url}/metrics`)).text()).includes('backend="a",kind');
    await eventually('the removed upstream is closed', async () => !(await samples()));
    expect(Object.keys((await readyz(gateway)).backends)).toEqual(['b']);
  });

  it('moves an upstream to another address', async () => {
    const [old, next] = [await startFake(), await startFake()];
    const gateway = await start(serving(['a', old]));
    expect(await status(gateway, 'm-a')).toBe(200);
    await reload(gateway, () => gateway.reconfigure(serving(['a', next])));
    expect(await status(gateway, 'm-a')).toBe(200);
    expect(old.requests.length).toBe(1);
    expect(next.requests.length).toBe(1);
  });

  it('fails no request while it changes again and again', async () => {
    const [a, b] = [await startFake(), await startFake()];
    const gateway = await start(serving(['a', a], ['b', b]));
    let running = true;
    const statuses: number[] = [];
    const client = async () => {
      while (running) statuses.push(await status(gateway, 'm-a'));
    };
    const clients = Promise.all([client(), client(), client(), client()]);
    for (let i = 0; i < 6; i++) {
      const config = i % 2 === 0 ? serving(['a', a]) : serving(['a', b], ['b', b]);
      await reload(gateway, () => gateway.reconfigure(config));
    }
    running = false;
    await clients;
    expect(statuses.length).toBeGreaterThan(20);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});

describe('SIGHUP', () => {
  it('applies CORS, limits and the log level, and says what needs a restart', async () => {
    const a = await startFake();
    const gateway = await start(serving(['a', a]));
    const origin = async () => {
      const reply = await fetch(`${gateway.url}/v1/models`, { headers: { origin: 'http://page.example' } });
      return reply.headers.get('access-control-allow-origin');
    };
    expect(await origin()).toBeNull();
    await reload(gateway, () => {
      gateway.reconfigure({
        ...serving(['a', a]),
        dataDir: '/elsewhere',
        listen: { port: 1, cors: { origins: ['http://page.example'] }, maxBodyBytes: 2_000 },
        limits: { maxChoices: 2 },
      });
      gateway.child.kill('SIGHUP');
    });
    expect(await origin()).toBe('http://page.example');
    expect((await postChat(gateway.url, chatBody('m-a', { n: 3 }))).status).toBe(400);
    expect((await postChat(gateway.url, chatBody('m-a', { user: 'x'.repeat(3_000) }))).status).toBe(413);
    expect(gateway.output()).toMatch(
      /"ignored":\["dataDir"\],"msg":"these settings change with a restart only"/,
    );

    const ask = (id: string) =>
      fetch(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-request-id': id },
        body: chatBody('m-a'),
      }).then((reply) => reply.text());
    gateway.reconfigure({ ...serving(['a', a]), log: { level: 'error' } });
    await eventually('CORS is closed again', async () => (await origin()) === null);
    await ask('while-errors-are-logged');
    await reload(gateway, () => gateway.reconfigure(serving(['a', a])));
    await ask('while-all-is-logged');
    await eventually('it is logged', () => gateway.output().includes('while-all-is-logged'));
    expect(gateway.output()).not.toContain('while-errors-are-logged');
  });

  it('reads the file again although it has not changed', async () => {
    const a = await startFake();
    const gateway = await start(serving(['a', a]));
    await reload(gateway, () => gateway.child.kill('SIGHUP'));
    expect(await status(gateway, 'm-a')).toBe(200);
  });
});

describe('a configuration that is wrong', () => {
  it.each([
    ['is not YAML', 'upstreams: [', /not valid YAML/],
    ['does not fit', 'upstreams: [{ name: a, url: 7 }]', /upstreams\[0\]\.url/],
    ['names an unset variable', 'upstreams: [{ name: a, url: "${NOBODY_SET_THIS}" }]', /NOBODY_SET_THIS/],
    ['names an unknown engine model', 'engines: [{ model: no-such-model }]', /no-such-model/],
  ])('keeps the last good one, loudly, when it %s', async (_, text, reason) => {
    const a = await startFake();
    const gateway = await start(serving(['a', a]));
    expect(await metric(gateway.url, 'qianmen_config_last_reload_success')).toBe(1);
    await reload(gateway, () => gateway.rewrite(text));
    expect(await status(gateway, 'm-a')).toBe(200);
    const line = gateway
      .output()
      .split('\n')
      .find((entry) => entry.includes('configuration refused'));
    const { level, reason: told } = JSON.parse(line ?? '{}') as { level: number; reason: string };
    expect(level).toBe(50);
    expect(told).toMatch(reason);
    expect(await metric(gateway.url, 'qianmen_config_reload_failures_total')).toBe(1);
    expect(await metric(gateway.url, 'qianmen_config_last_reload_success')).toBe(0);
    const { config } = await readyz(gateway);
    expect(config).toMatchObject({ status: 'refused', detail: expect.stringMatching(reason) });

    await reload(gateway, () => gateway.reconfigure(serving(['a', a])));
    expect(await metric(gateway.url, 'qianmen_config_last_reload_success')).toBe(1);
    expect((await readyz(gateway)).config).toBeUndefined();
  });
});

describe('a model file that cannot be fetched', () => {
  it('refuses the configuration; requests go on while it is tried', async () => {
    const a = await startFake();
    const hub = createServer((incoming) => setTimeout(() => incoming.destroy(), 300));
    hub.on('connection', (socket) => setTimeout(() => socket.destroy(), 300));
    await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
    const { port } = hub.address() as AddressInfo;
    gateway = await startGatewayProcess(serving(['a', a]), {
      env: { HF_ENDPOINT: `http://127.0.0.1:${port}` },
    });
    const before = reloads(gateway);
    gateway.reconfigure({ ...serving(['a', a]), engines: [{ model: 'qwen3-0.6b' }] });
    await eventually('it is fetched', () => /qwen3-0\.6b: asking/.test(gateway?.output() ?? ''));
    expect(await status(gateway, 'm-a')).toBe(200);
    await eventually('it was given up', () => reloads(gateway as GatewayProcess) > before, 50_000);
    expect((await readyz(gateway)).config?.detail).toMatch(/qwen3-0\.6b/);
    expect(await status(gateway, 'm-a')).toBe(200);
    hub.close();
  });
});

describe('engines', () => {
  const generates = async (gateway: GatewayProcess, model: string) =>
    (await postChat(gateway.url, chatBody(model, { max_tokens: 2 }))).status === 200;

  it('keep their process when unchanged, start when new, end when removed', async () => {
    const a = await startFake();
    const folder = mkdtempSync(join(tmpdir(), 'qianmen-reload-'));
    const [one, two] = [tinyChatEngine(folder, 'one'), tinyChatEngine(folder, 'two')];
    const gateway = await start({ engines: [one], ...serving(['a', a]) });
    await eventually('one is ready', () => generates(gateway, 'one'), 60_000);
    const [pid] = gateway.enginePids();
    await reload(gateway, () => gateway.reconfigure({ engines: [one, two] }));
    await eventually('two is ready', () => generates(gateway, 'two'), 60_000);
    expect(gateway.enginePids()).toContain(pid);
    expect(gateway.enginePids()).toHaveLength(2);
    await reload(gateway, () => gateway.reconfigure({ engines: [two] }));
    await eventually('the first process is gone', () => !gateway.enginePids().includes(pid as number));
    expect(await generates(gateway, 'two')).toBe(true);
  });

  it('with new settings take over once they are ready, and not if they never are', async () => {
    // Of a size that takes a while to start and to answer.
    const engine = (extra: object = {}) => {
      const sizes = { threads: 1, slots: 2, contextTokens: 256 };
      return { engines: [{ name: 'one', path: realModelPath(), ...sizes, ...extra }] };
    };
    const gateway = await start(engine());
    await eventually('it is ready', () => generates(gateway, 'one'), 60_000);
    const running = await postChat(
      gateway.url,
      chatBody('one', { stream: true, max_tokens: 200, ignore_eos: true }),
    );
    let unavailable = 0;
    let changing = true;
    const client = (async () => {
      while (changing) if (!(await generates(gateway, 'one'))) unavailable++;
    })();
    const [pid] = gateway.enginePids();
    const swapped = reloads(gateway);
    gateway.reconfigure(engine({ slots: 3 }));
    await eventually('it was replaced', () => reloads(gateway) > swapped, 60_000);
    changing = false;
    await client;
    expect(unavailable).toBe(0);
    expect((await running.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    await eventually('the old process is gone', () => !gateway.enginePids().includes(pid as number));

    const broken = reloads(gateway);
    gateway.reconfigure(engine({ path: new URL(import.meta.url).pathname }));
    await eventually('it was refused', () => reloads(gateway) > broken, 60_000);
    expect((await readyz(gateway)).config?.detail).toMatch(/Engine one/);
    expect(await generates(gateway, 'one')).toBe(true);
    await eventually('one process is left', () => gateway.enginePids().length === 1);
    // Three engines are started, each of which may take as long as one is waited for.
  }, 180_000);
});

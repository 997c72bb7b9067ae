import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
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

let gateway: GatewayProcess | undefined;
let fake: FakeUpstream | undefined;

afterEach(async () => {
  await gateway?.kill();
  await fake?.close();
  gateway = undefined;
  fake = undefined;
});

async function withUpstream(listen: object = {}) {
  fake = await startFakeUpstream();
  gateway = await startGatewayProcess({
    listen,
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  });
  return { fake, gateway };
}

describe('SIGTERM', () => {
  it('lets every running stream finish, fails readiness meanwhile, and exits with 0', async () => {
    const { fake, gateway } = await withUpstream({ drainDelayMs: 2_000 });
    fake.setBehaviour({ tokens: 40, itlMs: 20 });
    const replies = Array.from({ length: 8 }, () => postChat(gateway.url, chatBody('m', { stream: true })));
    const started = await Promise.all(replies);
    gateway.child.kill('SIGTERM');
    await eventually(
      'readyz says draining',
      async () => (await fetch(`${gateway.url}/readyz`)).status === 503,
    );
    const late = await postChat(gateway.url, chatBody('m'));
    expect(late.status).toBe(200);
    expect(late.headers.get('connection')).toBe('close');
    const texts = await Promise.all(started.map((reply) => reply.text()));
    for (const text of texts) expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(await gateway.exited).toBe(0);
    await expect(fetch(`${gateway.url}/healthz`)).rejects.toThrow();
  });

  it.each([
    ['SIGINT', 'SIGINT'],
    ['SIGTERM', 'SIGINT'],
    ['SIGTERM', 'SIGTERM'],
  ] as const)('takes %s and %s at once for one: npm and process groups send both', async (first, second) => {
    const { fake, gateway } = await withUpstream();
    fake.setBehaviour({ tokens: 40, itlMs: 20 });
    const reply = await postChat(gateway.url, chatBody('m', { stream: true }));
    gateway.child.kill(first);
    gateway.child.kill(second);
    expect((await reply.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(await gateway.exited).toBe(0);
  });

  it('ends at once at a second signal that is meant as such', async () => {
    const { fake, gateway } = await withUpstream();
    fake.setBehaviour({ tokens: 10_000, itlMs: 20 });
    const reply = await postChat(gateway.url, chatBody('m', { stream: true, max_tokens: 10_000 }));
    gateway.child.kill('SIGINT');
    await eventually('it drains', () => gateway.output().includes('"draining"'));
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    gateway.child.kill('SIGINT');
    await reply.text().catch(() => 'torn');
    expect(await gateway.exited).toBe(130);
  });

  it('cuts off what outlasts the grace time', async () => {
    const { fake, gateway } = await withUpstream({ drainTimeoutMs: 300 });
    fake.setBehaviour({ tokens: 10_000, itlMs: 20 });
    const reply = await postChat(gateway.url, chatBody('m', { stream: true, max_tokens: 10_000 }));
    gateway.child.kill('SIGTERM');
    await reply.text().catch(() => 'torn');
    expect(await gateway.exited).toBe(0);
    expect(gateway.output()).toContain('"cut":1');
  });
});

/** Long before what was asked for would have been done. */
async function workStops(gateway: GatewayProcess, working: () => boolean | Promise<boolean>): Promise<void> {
  await eventually('the work stops', async () => !(await working()), 5_000);
  await eventually(
    'the counters are zero',
    async () => (await metric(gateway.url, 'qianmen_requests_in_flight')) === 0,
    5_000,
  );
  expect(await metric(gateway.url, 'qianmen_backend_requests_in_flight')).toBe(0);
}

describe('a client that leaves', () => {
  it.each([
    ['before the first byte, streaming', { ttftMs: 20_000 }, true, false],
    ['before the reply, not streaming', { ttftMs: 20_000 }, false, false],
    ['in the middle of a stream', { itlMs: 20, tokens: 5_000 }, true, true],
  ])('stops the upstream %s', async (_, behaviour, stream, readsFirst) => {
    const { fake, gateway } = await withUpstream();
    fake.setBehaviour(behaviour);
    const leave = new AbortController();
    const reply = postChat(gateway.url, chatBody('m', { stream, max_tokens: 5_000 }), leave.signal);
    reply.catch(() => {});
    if (readsFirst) await (await reply).body?.getReader().read();
    await eventually('the upstream works', () => fake.inFlight() === 1);
    leave.abort();
    await workStops(gateway, () => fake.inFlight() > 0);
    expect(fake.requests[0]?.aborted).toBe(true);
  });
});

describe('an engine', () => {
  let gateway: GatewayProcess;
  beforeAll(async () => {
    gateway = await startGatewayProcess({
      engines: [{ name: 'smol', path: realModelPath(), threads: 1, slots: 8 }],
    });
    const isReady = async () => (await fetch(`${gateway.url}/readyz`)).status === 200;
    await eventually('the engine is ready', isReady, 60_000);
  });
  afterAll(() => gateway?.kill());
  const LONG = { max_tokens: 1_500, ignore_eos: true };

  it.each([
    ['streaming', true],
    ['not streaming', false],
  ])('stops when its client leaves, %s', async (_, stream) => {
    const leave = new AbortController();
    const reply = postChat(gateway.url, chatBody('smol', { stream, ...LONG }), leave.signal);
    reply.catch(() => {});
    if (stream) await (await reply).body?.getReader().read();
    const working = async () => (await metric(gateway.url, 'qianmen_backend_requests_in_flight')) > 0;
    await eventually('the engine works', working);
    leave.abort();
    await workStops(gateway, working);
  });

  it('whose process is killed costs only its own requests: 503 with Retry-After, then the model is back', async () => {
    const running = await postChat(gateway.url, chatBody('smol', { stream: true, ...LONG }));
    const reader = running.body?.getReader();
    await reader?.read();
    const [pid] = gateway.enginePids();
    process.kill(pid as number, 'SIGKILL');

    const tail: Uint8Array[] = [];
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read())
      tail.push(next.value);
    const text = Buffer.concat(tail).toString();
    expect(text).toContain('"error"');
    expect(text).not.toContain('[DONE]');

    const refused = await postChat(gateway.url, chatBody('smol'));
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);

    await eventually(
      'the engine is back',
      async () => (await postChat(gateway.url, chatBody('smol', { max_tokens: 2 }))).status === 200,
      30_000,
    );
    expect(gateway.enginePids()).not.toContain(pid);
  });
});

describe('a model file that is not one', () => {
  it('is refused with its reason while other models are served', async () => {
    fake = await startFakeUpstream();
    const path = `/tmp/qianmen-corrupt-${process.pid}.gguf`;
    writeFileSync(path, 'GGUF but not really, only some text that goes on');
    gateway = await startGatewayProcess({
      engines: [{ name: 'broken', path }],
      upstreams: [{ name: 'fake', url: fake.url }],
      models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
    });
    const { url } = gateway;
    const engine = async () => {
      const { backends } = (await (await fetch(`${url}/readyz`)).json()) as {
        backends: Record<string, { state: string; detail?: string }>;
      };
      return backends.broken;
    };
    await eventually('the engine has given up', async () => (await engine())?.state === 'down', 20_000);
    expect((await engine())?.detail).toMatch(/GGUF|version|truncated/i);
    const refused = await postChat(url, chatBody('broken'));
    expect(refused.status).toBe(503);
    expect(await refused.text()).not.toContain(path);
    expect((await postChat(url, chatBody('m'))).status).toBe(200);
  });
});

describe('what is written down', () => {
  it('says so where upstreams have no model that anybody could ask for', async () => {
    gateway = await startGatewayProcess({ upstreams: [{ name: 'a', url: 'http://127.0.0.1:9/v1' }] });
    expect(gateway.output()).toContain('nothing is served');
  });

  it('has one line per request, and no word of what was said', async () => {
    const { fake, gateway } = await withUpstream();
    fake.setBehaviour({ text: 'zebra answers' });
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'kingfisher-prompt' }] });
    expect(await (await postChat(gateway.url, body)).text()).toContain('zebra');
    await postChat(gateway.url, '{"model":"m","messages":"kingfisher-broken"}');
    await eventually('both are logged', () => gateway.output().match(/"msg":"request"/g)?.length === 2);
    expect(gateway.output()).not.toMatch(/kingfisher|zebra/);
    expect(await (await fetch(`${gateway.url}/metrics`)).text()).not.toMatch(/kingfisher|zebra/);
  });
});

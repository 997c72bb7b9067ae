import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import type { UpstreamView } from '../src/api/admin/upstream-report.ts';
import { type FakeUpstream, startFakeUpstream } from './fakes/openai-upstream.ts';
import {
  chatBody,
  eventually,
  type GatewayProcess,
  postChat,
  startGatewayProcess,
} from './support/gateway-process.ts';

let gateway: GatewayProcess | undefined;
const fakes: FakeUpstream[] = [];

afterEach(async () => {
  await gateway?.kill();
  gateway = undefined;
  await Promise.all(fakes.splice(0).map((fake) => fake.close()));
});

async function startTwo(listen: object = {}) {
  const [a, b] = [await startFakeUpstream(), await startFakeUpstream({ models: ['fake-model', 'other'] })];
  fakes.push(a, b);
  gateway = await startGatewayProcess({
    listen,
    upstreams: [
      { name: 'a', url: a.url },
      { name: 'b', url: b.url },
    ],
    models: [
      {
        name: 'both',
        policy: 'round-robin',
        deployments: ['a', 'b'].map((upstream) => ({ upstream, model: 'fake-model' })),
      },
      { name: 'only-a', deployments: [{ upstream: 'a', model: 'fake-model' }] },
    ],
  });
  return { gateway, a, b };
}

function post(gateway: GatewayProcess, path: string, headers: Record<string, string> = {}) {
  return fetch(`${gateway.url}/admin${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
  });
}

async function views(gateway: GatewayProcess): Promise<Record<string, UpstreamView>> {
  const { upstreams } = (await (await fetch(`${gateway.url}/admin/upstreams`)).json()) as {
    upstreams: UpstreamView[];
  };
  return Object.fromEntries(upstreams.map((view) => [view.name, view]));
}

async function ask(gateway: GatewayProcess, model: string): Promise<number> {
  const reply = await postChat(gateway.url, chatBody(model));
  await reply.text();
  return reply.status;
}

describe('draining an upstream', () => {
  it('gives it no new requests, lets running ones finish, and undraining brings it back', async () => {
    const { gateway, a, b } = await startTwo();
    a.setBehaviour({ holdAfterEvents: 4 });
    const running = await postChat(gateway.url, chatBody('only-a', { stream: true }));
    expect((await post(gateway, '/upstreams/a/drain')).status).toBe(200);
    expect((await views(gateway)).a).toMatchObject({
      drained: true,
      health: { state: 'down', detail: 'drained by an operator', inFlight: 1 },
    });
    for (let i = 0; i < 6; i++) expect(await ask(gateway, 'both')).toBe(200);
    expect(a.requests).toHaveLength(1);
    expect(b.requests).toHaveLength(6);
    expect(await ask(gateway, 'only-a')).toBe(503);
    expect(a.requests).toHaveLength(1);
    a.release();
    expect((await running.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);

    expect((await post(gateway, '/upstreams/a/undrain')).status).toBe(200);
    expect((await views(gateway)).a?.drained).toBe(false);
    expect(await ask(gateway, 'only-a')).toBe(200);
  });

  it('outlives a reload, unless the upstream is taken out', async () => {
    const { gateway, a } = await startTwo();
    const upstream = { name: 'a', url: a.url };
    const models = [{ name: 'm', deployments: [{ upstream: 'a', model: 'fake-model' }] }];
    await post(gateway, '/upstreams/a/drain');
    gateway.reconfigure({ upstreams: [upstream], models });
    await eventually('m is known', async () => (await ask(gateway, 'm')) === 503);
    gateway.reconfigure({ upstreams: [] });
    await eventually('m is gone', async () => (await ask(gateway, 'm')) === 404);
    gateway.reconfigure({ upstreams: [upstream], models });
    await eventually('m is served', async () => (await ask(gateway, 'm')) === 200);
  });

  it('answers 404 for a name that is none', async () => {
    const { gateway } = await startTwo();
    expect((await post(gateway, '/upstreams/c/drain')).status).toBe(404);
    expect((await fetch(`${gateway.url}/admin/nothing`)).status).toBe(404);
    expect((await fetch(`${gateway.url}/admin/upstreams/a/drain`)).status).toBe(405);
  });
});

describe('the models of the fleet', () => {
  it('shows what each upstream says it serves, and warns once of models that are missing', async () => {
    const { gateway, b } = await startTwo();
    await eventually('both have said', async () => (await views(gateway)).b?.models !== null);
    expect((await views(gateway)).b).toMatchObject({ models: ['fake-model', 'other'], missingModels: [] });
    gateway.reconfigure({
      upstreams: [{ name: 'b', url: b.url, probe: { intervalMs: 50 } }],
      models: [{ name: 'm', deployments: [{ upstream: 'b', model: 'missing-one' }] }],
    });
    await eventually(
      'it is missed',
      async () => (await views(gateway)).b?.missingModels.includes('missing-one') === true,
    );
    expect((await views(gateway)).b?.health).toMatchObject({
      state: 'ready',
      detail: 'does not list missing-one',
    });
    await eventually('probes go on', async () => b.connections() > 5);
    expect(gateway.output().match(/does not list its models/g)).toHaveLength(1);
  });
});

describe('who may', () => {
  it('refuses what a web page or a proxy could send, with no CORS', async () => {
    const { gateway } = await startTwo({ cors: { origins: ['*'] } });
    const drain = '/upstreams/a/drain';
    expect((await post(gateway, drain, { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post(gateway, drain, { origin: 'http://127.0.0.1:9' })).status).toBe(403);
    expect((await post(gateway, drain, { 'x-forwarded-for': '10.0.0.9' })).status).toBe(403);
    const preflight = await fetch(`${gateway.url}/admin${drain}`, {
      method: 'OPTIONS',
      headers: { origin: 'http://page.example', 'access-control-request-method': 'POST' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
    expect(preflight.ok).toBe(false);
    const read = await fetch(`${gateway.url}/admin/upstreams`, {
      headers: { origin: 'http://page.example' },
    });
    expect(read.status).toBe(403);
    expect(read.headers.get('access-control-allow-origin')).toBeNull();
    expect(await statusWithHost(gateway, 'rebound.example')).toBe(403);
    expect(await statusWithHost(gateway, 'localhost:8080')).toBe(200);
    expect((await views(gateway)).a?.drained).toBe(false);
  });

  it('refuses peers that are not on the machine', async () => {
    const address = externalAddress();
    if (address === undefined) return;
    const { gateway } = await startTwo({ host: '0.0.0.0', allowUnauthenticated: true });
    const { port } = new URL(gateway.url);
    const reply = await fetch(`http://${address}:${port}/admin/upstreams`);
    expect(reply.status).toBe(403);
    expect(await reply.text()).toContain('permission_denied');
    expect((await fetch(`http://${address}:${port}/v1/models`)).status).toBe(200);
  });
});

function statusWithHost(gateway: GatewayProcess, host: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  request(`${gateway.url}/admin/upstreams`, { headers: { host } }, (reply) => {
    reply.resume();
    resolve(reply.statusCode);
  })
    .on('error', reject)
    .end();
  return promise;
}

function externalAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}

import { expect, it, onTestFinished } from 'vitest';
import { configSchema } from '../../config/schema.ts';
import { startGateway } from '../../src/serve.ts';
import { type FakeBehaviour, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { eventually, isWhole, serveFleet } from '../resilience/fleet.ts';
import { newDataDir } from '../support/data-dir.ts';
import { chatBody } from '../support/gateway-process.ts';

/** `a` serves, `b` gets the copies. */
function shadowed(
  behaviours: readonly [FakeBehaviour, FakeBehaviour],
  shadow: object = {},
  extra: object = {},
) {
  return serveFleet(behaviours, {
    model: {
      deployments: [{ upstream: 'a', model: 'fake-model' }],
      shadow: { deployment: { upstream: 'b', model: 'next-model' }, share: 1, ...shadow },
      ...extra,
    },
  });
}

it.each([true, false])('a copy goes to the shadow, and is no request (stream: %s)', async (stream) => {
  const fleet = await shadowed([{}, {}]);
  const [served, shadow] = fleet.fakes;
  for (let i = 0; i < 3; i += 1) expect((await fleet.ask({ stream })).status).toBe(200);
  const copies = async () => (await fleet.metric('qianmen_shadow_requests_total')) === 3;
  await eventually('copies are answered', copies, 5_000);
  expect(shadow!.requests.map(({ body, finished }) => [body?.model, finished])).toEqual(
    Array(3).fill(['next-model', true]),
  );
  expect(shadow!.requests[0]!.body?.messages).toEqual(served!.requests[0]!.body?.messages);
  expect(await fleet.metric('qianmen_requests_total')).toBe(3);
  expect(await fleet.metric('qianmen_backend_attempts_total')).toBe(3);
});

it.each([
  ['fails', { status: 500 }],
  ['hangs', { headerDelayMs: 60_000 }],
  ['dies', { dieAfterEvents: 1 }],
] as [string, FakeBehaviour][])('a shadow that %s disturbs nobody', async (_, behaviour) => {
  const fleet = await shadowed([{}, behaviour], { maxInFlight: 2 });
  for (let i = 0; i < 20; i += 1) expect(isWhole(await fleet.ask())).toBe(true);
  expect(fleet.fakes[0]!.requests).toHaveLength(20);
  expect(fleet.fakes[1]!.inFlight()).toBeLessThanOrEqual(2);
  await fleet.running.close();
  await eventually('copies are cancelled', () => fleet.fakes[1]!.inFlight() === 0, 5_000);
});

it('copies beyond the limit are dropped', async () => {
  const fleet = await shadowed([{}, { headerDelayMs: 60_000 }], { maxInFlight: 2 });
  for (let i = 0; i < 10; i += 1) await fleet.ask();
  await eventually('two have come', () => fleet.fakes[1]!.requests.length === 2);
  const text = await (await fetch(`${fleet.url}/metrics`)).text();
  expect(text).toContain('qianmen_shadow_requests_total{model="m",outcome="dropped"} 8');
});

it('nothing is copied to where its request may not go, whoever says so', async () => {
  const [house, cloud] = [await startFakeUpstream(), await startFakeUpstream()];
  const deployment = (upstream: string) => ({ upstream, model: 'fake-model' });
  const entry = { shadow: { deployment: deployment('cloud'), share: 1 }, deployments: [deployment('house')] };
  const running = await startGateway(
    configSchema.parse({
      listen: { port: 0 },
      dataDir: newDataDir(),
      region: 'cn-1',
      privacy: { detect: ['payment-card'], whenFound: 'private' },
      upstreams: [
        { name: 'house', url: house.url, privacy: 'private', region: 'cn-1' },
        { name: 'cloud', url: cloud.url, privacy: 'public', region: 'eu-1' },
      ],
      models: [
        { name: 'any', ...entry },
        { name: 'inside', privacy: 'private', ...entry },
        { name: 'here', regions: ['cn-1'], ...entry },
      ],
      log: { level: 'silent' },
    }),
  );
  onTestFinished(async () => {
    await running.close();
    await Promise.all([house.close(), cloud.close()]);
  });
  const ask = async (model: string, headers: Record<string, string> = {}, content = 'hello') => {
    const reply = await fetch(`${running.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: chatBody(model, { messages: [{ role: 'user', content }] }),
    });
    await reply.text();
    expect(reply.status).toBe(200);
  };
  for (let i = 0; i < 20; i += 1) {
    await ask('inside');
    await ask('inside', { 'x-qianmen-privacy': 'any' });
    await ask('here');
    await ask('any', { 'x-qianmen-privacy': 'region' });
    await ask('any', {}, '我的卡号是 4111 1111 1111 1111');
  }
  expect(cloud.requests).toEqual([]);
  // What is free to go does go.
  await ask('any');
  await eventually('a copy comes', () => cloud.requests.length === 1);
  expect(house.requests).toHaveLength(101);
});

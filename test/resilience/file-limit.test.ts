import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type FakeBehaviour, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { chatBody, eventually, startGatewayProcess } from '../support/gateway-process.ts';

/** A gateway before `a` and `b`, how many files it may open, and one connection to ask over. */
async function start(behaviours: readonly FakeBehaviour[], ofB: object = {}) {
  const upstreams: object[] = [];
  for (const [at, behaviour] of behaviours.entries()) {
    const fake = await startFakeUpstream({ behaviour });
    onTestFinished(() => fake.close());
    upstreams.push({ name: 'ab'[at], url: fake.url, probe: { intervalMs: 50 } });
  }
  const deployments = [
    { upstream: 'a', model: 'x' },
    { upstream: 'b', model: 'x', ...ofB },
  ];
  const gateway = await startGatewayProcess({ upstreams, models: [{ name: 'm', deployments }] });
  onTestFinished(() => gateway.kill());
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const send = async (path: string, body = '') => {
    const headers = { 'content-type': 'application/json' };
    const sent = request(gateway.url + path, { method: body === '' ? 'GET' : 'POST', agent, headers });
    sent.end(body);
    const [reply] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: reply.statusCode, text: await text(reply) };
  };
  await send('/healthz');
  return {
    gateway,
    ask: () => send('/v1/chat/completions', chatBody('m')),
    allow: (files: number) => execFileSync('prlimit', [`--pid=${gateway.child.pid}`, `--nofile=${files}:`]),
  };
}

describe.skipIf(spawnSync('prlimit', ['--version']).status !== 0)(
  'a gateway that may open no more files',
  () => {
    it('says so, and holds it against no server', async () => {
      const { gateway, ask, allow } = await start([{}, {}]);
      allow(3);
      for (let i = 0; i < 10; i += 1) {
        const refused = await ask();
        expect(refused.status).toBe(503);
        expect(JSON.parse(refused.text).error.code).toBe('model_unavailable');
      }
      // Several probes have failed by then.
      await new Promise((resolve) => setTimeout(resolve, 500));
      allow(1_000);
      expect((await ask()).status).toBe(200);
      await eventually('it is in the log', () => gateway.output().includes('EMFILE'));
      expect(gateway.output()).toContain('Raise the number of files that the gateway may open');
      expect(gateway.output()).not.toContain('"healthy":false');
    });

    it('sends requests where it has a connection, and rolls back no canary that has none', async () => {
      const canary = { share: 0.5, minRequests: 20 };
      const { gateway, ask, allow } = await start([{}, { headers: { connection: 'close' } }], { canary });
      for (let i = 0; i < 20; i += 1) await ask();
      allow(3);
      for (let i = 0; i < 100; i += 1) expect((await ask()).status).toBe(200);
      allow(1_000);
      await ask();
      expect(gateway.output()).not.toContain('canary rolled back');
    });
  },
);

import { Agent, request } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import type { CanaryReport } from '../../src/core/report.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { chatBody, eventually, metric, startGatewayProcess } from '../support/gateway-process.ts';

/** A call over a connection of this agent's, or one of its own, so that workers take turns. */
function call(url: string, path: string, { method = 'GET', body = '', agent = false as Agent | false } = {}) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers = { 'content-type': 'application/json' };
  const outgoing = request(`${url}${path}`, { method, agent, headers }, (reply) => {
    let text = '';
    reply.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text }));
  });
  outgoing.on('error', reject).end(body);
  return promise;
}

it('what one worker finds of a canary holds for all, also for those that start later, until an operator says otherwise', async () => {
  const stable = await startFakeUpstream();
  const canary = await startFakeUpstream({ behaviour: { status: 500 } });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(async () => {
    agent.destroy();
    await Promise.all([stable.close(), canary.close()]);
  });
  const gateway = await startGatewayProcess({
    listen: { workers: 2 },
    upstreams: [
      { name: 'a', url: stable.url },
      { name: 'b', url: canary.url },
    ],
    models: [
      {
        name: 'm',
        deployments: [
          { upstream: 'a', model: 'fake-model' },
          { upstream: 'b', model: 'fake-model', canary: { share: 0.5, minRequests: 20 } },
        ],
      },
    ],
  });
  onTestFinished(() => gateway.kill());
  const { url } = gateway;
  const ask = (by: Agent | false = false) =>
    call(url, '/v1/chat/completions', { method: 'POST', body: chatBody('m'), agent: by });
  const states = async () => {
    const found: string[] = [];
    for (let i = 0; i < 4; i += 1) {
      const { text } = await call(url, '/admin/canaries');
      found.push(...(JSON.parse(text) as { canaries: CanaryReport[] }).canaries.map(({ state }) => state));
    }
    return new Set(found);
  };
  const everywhere = (state: string) => async () => {
    const found = await states();
    return found.size === 1 && found.has(state);
  };

  expect(await states()).toEqual(new Set(['on-trial']));
  // One connection, so that one worker sees all of it.
  for (let i = 0; i < 400 && (await states()).has('on-trial'); i += 1)
    expect((await ask(agent)).status).toBe(200);
  await eventually('both know', everywhere('rolled-back'));
  expect(await metric(url, 'qianmen_canary_rollbacks_total')).toBe(1);
  const asked = canary.requests.length;
  for (let i = 0; i < 20; i += 1) expect((await ask()).status).toBe(200);
  expect(canary.requests.length).toBe(asked);

  for (const [round, pid] of gateway.enginePids().entries()) {
    process.kill(pid, 'SIGKILL');
    const replaced = () => gateway.output().match(/"msg":"worker replaced"/g)?.length === round + 1;
    await eventually('it is replaced', replaced, 20_000);
  }
  expect(await states()).toEqual(new Set(['rolled-back']));

  const resume = `/admin/canaries/${encodeURIComponent('b/fake-model')}/resume`;
  expect((await call(url, resume, { method: 'POST' })).status).toBe(200);
  await eventually('both try again', everywhere('on-trial'));
});

import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { chatBody, eventually, startGatewayProcess } from '../support/gateway-process.ts';

const noPrlimit = spawnSync('prlimit', ['--version']).status !== 0;

it.skipIf(noPrlimit)(
  'a gateway that may open no more files says so, and holds it against no server',
  async () => {
    const fake = await startFakeUpstream();
    onTestFinished(() => fake.close());
    const names = ['a', 'b'];
    const gateway = await startGatewayProcess({
      upstreams: names.map((name) => ({ name, url: fake.url, probe: { intervalMs: 50 } })),
      models: [{ name: 'm', deployments: names.map((upstream) => ({ upstream, model: 'x' })) }],
    });
    onTestFinished(() => gateway.kill());
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const ask = async (path: string, body = '') => {
      const sent = request(gateway.url + path, { method: body === '' ? 'GET' : 'POST', agent }).setHeader(
        'content-type',
        'application/json',
      );
      sent.end(body);
      const [reply] = (await once(sent, 'response')) as [IncomingMessage];
      return { status: reply.statusCode, text: await text(reply) };
    };
    const allow = (files: number) =>
      execFileSync('prlimit', [`--pid=${gateway.child.pid}`, `--nofile=${files}:`]);

    await ask('/healthz');
    allow(3);
    for (let i = 0; i < 10; i += 1) {
      const refused = await ask('/v1/chat/completions', chatBody('m'));
      expect(refused.status).toBe(503);
      expect(JSON.parse(refused.text).error.code).toBe('model_unavailable');
    }
    // Several probes have failed by then.
    await new Promise((resolve) => setTimeout(resolve, 500));
    allow(1_000);
    expect((await ask('/v1/chat/completions', chatBody('m'))).status).toBe(200);
    await eventually('it is in the log', () => gateway.output().includes('EMFILE'));
    expect(gateway.output()).toContain('Raise the number of files that the gateway may open');
    expect(gateway.output()).not.toContain('"healthy":false');
  },
);

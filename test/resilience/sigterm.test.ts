import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { chatBody, eventually, metric, postChat, startGatewayProcess } from '../support/gateway-process.ts';

async function serve(listen: object, behaviour: object) {
  const fake = await startFakeUpstream({ behaviour });
  onTestFinished(() => fake.close());
  const gateway = await startGatewayProcess({
    listen,
    upstreams: [{ name: 'a', url: fake.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'a', model: 'fake-model' }] }],
  });
  onTestFinished(() => gateway.kill());
  return gateway;
}

/** Asks over a pool of connections. Resolves to `ok`, the status, or the code of the error. */
function askOnce(url: string, agent: Agent, stream: boolean): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const outgoing = request(
    `${url}/v1/chat/completions`,
    { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
    (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (piece: string) => {
        text += piece;
      });
      reply.on('error', (error: NodeJS.ErrnoException) => resolve(`cut: ${error.code}`));
      reply.on('end', () => {
        const whole = reply.statusCode === 200 && (!stream || text.trimEnd().endsWith('data: [DONE]'));
        resolve(whole ? 'ok' : `${reply.statusCode} ${text.slice(-200)}`);
      });
    },
  );
  outgoing.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  outgoing.end(chatBody('m', { stream }));
  return promise;
}

it.each([0, 5_000])(
  'SIGTERM under load loses no request that was sent (drain delay %d ms)',
  async (drainDelayMs) => {
    const gateway = await serve({ drainDelayMs }, { ttftMs: 5, itlMs: 5, tokens: 10 });
    const results: string[] = [];
    let stopped = false;
    const clients = Array.from({ length: 12 }, async (_, i) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      // Nobody listens any more: nothing was sent.
      while (!stopped) {
        const result = await askOnce(gateway.url, agent, i % 2 === 0);
        if (result === 'ECONNREFUSED') break;
        results.push(result);
      }
      agent.destroy();
    });
    await eventually('there is load', () => results.length > 100);
    const before = results.length;
    gateway.child.kill('SIGTERM');
    if (drainDelayMs > 0) {
      const readyz = async () => (await fetch(`${gateway.url}/readyz`)).status;
      await eventually('readyz says draining', async () => (await readyz()) === 503);
      await eventually('requests are still taken', () => results.length > before + 20);
      // As a load balancer that has seen it.
      stopped = true;
    }
    expect(await gateway.exited).toBe(0);
    stopped = true;
    await Promise.all(clients);
    expect(results.filter((result) => result !== 'ok')).toEqual([]);
    expect(results.length).toBeGreaterThan(before);
  },
);

it('SIGTERM waits for a request whose body is still on its way', async () => {
  const gateway = await serve({}, {});
  const body = chatBody('m');
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
      `content-length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
  );
  await once(socket, 'connect');
  // It has read what was sent before.
  await fetch(`${gateway.url}/healthz`);
  gateway.child.kill('SIGTERM');
  await eventually('it drains', () => gateway.output().includes('"draining"'));
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  socket.write(body.slice(10));
  let reply = '';
  socket.on('data', (piece) => {
    reply += piece.toString();
  });
  await once(socket, 'close');
  expect(reply).toMatch(/^HTTP\/1\.1 200 /);
  expect(reply).toMatch(/connection: close/i);
  expect(await gateway.exited).toBe(0);
});

it('SIGTERM cuts off no reply that a client is slow to take', async () => {
  const gateway = await serve({}, { text: 'word '.repeat(2_000_000) });
  const reply = await postChat(gateway.url, chatBody('m'));
  await new Promise((resolve) => setTimeout(resolve, 300));
  gateway.child.kill('SIGTERM');
  await eventually('it drains', () => gateway.output().includes('"draining"'));
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect((JSON.parse(await reply.text()) as { usage: object }).usage).toBeDefined();
  expect(await gateway.exited).toBe(0);
});

it.each([1, 2])('what outlasts the grace time is told so (%d workers)', async (workers) => {
  const gateway = await serve({ workers, drainTimeoutMs: 500 }, { itlMs: 20, tokens: 10_000 });
  const stream = await postChat(gateway.url, chatBody('m', { stream: true, max_tokens: 10_000 }));
  const whole = postChat(gateway.url, chatBody('m', { max_tokens: 10_000 }));
  await eventually('both run', async () => (await metric(gateway.url, 'qianmen_requests_in_flight')) === 2);
  gateway.child.kill('SIGTERM');
  const text = await stream.text();
  expect(text).toContain('"code":"shutting_down"');
  expect(text).not.toContain('[DONE]');
  const refused = await whole;
  expect(refused.status).toBe(503);
  expect(await refused.text()).toContain('"code":"shutting_down"');
  expect(await gateway.exited).toBe(0);
  expect(gateway.output()).toContain('"cut":2');
});

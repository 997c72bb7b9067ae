import { Agent, request } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import type { UpstreamReport, WorkerReport } from '../../src/api/admin/upstream-report.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { chatBody, eventually, startGatewayProcess } from '../support/gateway-process.ts';

type Report = UpstreamReport & { readonly workers?: readonly WorkerReport[] };

/** Over a connection of its own, so that workers take turns. */
function call(url: string, path: string, body?: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const method = body === undefined ? 'GET' : 'POST';
  const headers = { 'content-type': 'application/json' };
  request(`${url}${path}`, { method, headers, agent: new Agent({ keepAlive: false }) }, (reply) => {
    let text = '';
    reply.setEncoding('utf8');
    reply.on('data', (piece: string) => {
      text += piece;
    });
    reply.on('end', () => resolve(text));
  })
    .on('error', reject)
    .end(body);
  return promise;
}

it('operators see the upstreams of all workers together and of each, whichever answers', async () => {
  const fake = await startFakeUpstream();
  onTestFinished(() => fake.close());
  const gateway = await startGatewayProcess({
    listen: { workers: 2 },
    upstreams: [{ name: 'a', url: fake.url, concurrency: { initial: 10, max: 20 } }],
    models: [{ name: 'm', deployments: [{ upstream: 'a', model: 'fake-model' }] }],
  });
  onTestFinished(() => gateway.kill());
  const { url } = gateway;
  const chat = () => call(url, '/v1/chat/completions', chatBody('m', { stream: true }));
  for (let i = 0; i < 8; i += 1) await chat();

  for (let i = 0; i < 3; i += 1) {
    const report = JSON.parse(await call(url, '/admin/upstreams')) as Report;
    expect(report.workers).toHaveLength(2);
    const perWorker = report.workers!.map(({ upstreams }) => upstreams[0]!.traffic!.ttft.count);
    expect(Math.min(...perWorker)).toBeGreaterThan(0);
    expect(report.upstreams).toHaveLength(1);
    expect(report.upstreams[0]).toMatchObject({
      name: 'a',
      health: { state: 'ready', breaker: 'closed', inFlight: 0 },
      traffic: { inFlight: 0, limit: 20, retries: 0, ttft: { count: 8 } },
    });
    expect(report.models).toMatchObject([{ name: 'm', active: 0, retryBudget: 6 }]);
  }

  const { upstreams } = JSON.parse(await call(url, '/admin/upstreams/a/drain', '')) as Report;
  expect(upstreams[0]).toMatchObject({
    drained: true,
    health: { state: 'down', detail: 'drained by an operator' },
  });

  await call(url, '/admin/upstreams/a/undrain', '');
  const [first] = gateway.enginePids();
  process.kill(first!, 'SIGSTOP');
  onTestFinished(() => void process.kill(first!, 'SIGCONT'));
  // It may be the stopped one that is given the connection: then another is asked.
  await eventually('the other answers for itself', async () => {
    const late = new Promise<string>((resolve) => setTimeout(() => resolve('{}'), 3_000));
    const report = JSON.parse(await Promise.race([call(url, '/admin/upstreams'), late])) as Report;
    return report.workers?.length === 1;
  });
});

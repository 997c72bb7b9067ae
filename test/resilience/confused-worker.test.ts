import { expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { chatBody, eventually, postChat, startGatewayProcess } from '../support/gateway-process.ts';

it('nonsense between a worker and the primary ends neither: it is logged, and whoever waits for an answer hears that there is none', async () => {
  const fake = await startFakeUpstream();
  onTestFinished(() => fake.close());
  const fault = new URL('../fakes/confused-worker.ts', import.meta.url);
  const gateway = await startGatewayProcess(
    {
      listen: { workers: 2 },
      upstreams: [{ name: 'fake', url: fake.url }],
      models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
    },
    { env: { NODE_OPTIONS: `--import ${fault}` } },
  );
  onTestFinished(() => gateway.kill());
  const before = gateway.enginePids();

  await eventually('the workers have heard nonsense', () => {
    return gateway.output().match(/"message":"drain-upstream","msg":"what the primary/g)?.length === 2;
  });
  const scraped = await fetch(`${gateway.url}/metrics`);
  expect(scraped.status).toBe(500);
  await eventually('it is logged', () => gateway.output().includes('"message":"scrape","msg":"a message of'));

  expect((await postChat(gateway.url, chatBody('m'))).status).toBe(200);
  expect(gateway.enginePids()).toEqual(before);
});

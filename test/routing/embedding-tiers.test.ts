import { expect, it, onTestFinished } from 'vitest';
import { configSchema } from '../../config/schema.ts';
import { startGateway } from '../../src/serve.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { REAL_ENCODER, realEncoderPath } from '../model-file.ts';
import { newDataDir } from '../support/data-dir.ts';
import { chatBody } from '../support/gateway-process.ts';

const HARD = 'Implement a lock-free queue in C++ and explain its memory ordering.';
const EASY = 'Who wrote Hamlet?';

async function serve(timeoutMs: number) {
  const [small, large] = [await startFakeUpstream(), await startFakeUpstream()];
  const running = await startGateway(
    configSchema.parse({
      listen: { port: 0 },
      dataDir: newDataDir(),
      engines: [{ name: REAL_ENCODER, path: realEncoderPath(), threads: 1 }],
      upstreams: [
        { name: 'small', url: small.url },
        { name: 'large', url: large.url },
      ],
      models: [
        {
          name: 'auto',
          policy: 'lowest-cost',
          tiers: { threshold: 0.5, quality: 0.8, classifier: 'embedding', encoder: REAL_ENCODER, timeoutMs },
          deployments: [
            { upstream: 'small', model: 'fake-model', quality: 0.3, price: price(0.1) },
            { upstream: 'large', model: 'fake-model', quality: 0.9, price: price(10) },
          ],
        },
      ],
      log: { level: 'silent' },
    }),
  );
  onTestFinished(async () => {
    await running.close();
    await Promise.all([small.close(), large.close()]);
  });
  await running.enginesSettled;
  return async (content: string) => {
    const reply = await fetch(`${running.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-qianmen-privacy': 'any' },
      body: chatBody('auto', { messages: [{ role: 'user', content }] }),
    });
    expect(reply.status).toBe(200);
    await reply.text();
    const id = reply.headers.get('x-qianmen-decision');
    return (await (await fetch(`${running.url}/admin/decisions/${id}`)).json()) as {
      request: { difficulty: number; judgedBy: string };
      observed: { deployment: string };
    };
  };
}

function price(usd: number) {
  return { inputUsdPerMTok: usd, outputUsdPerMTok: usd };
}

it('questions are judged by the embeddings of a local encoder, and decisions tell', async () => {
  const ask = await serve(30_000);
  const hard = await ask(HARD);
  const easy = await ask(EASY);
  expect([hard.request.judgedBy, easy.request.judgedBy]).toEqual(['embedding-1', 'embedding-1']);
  expect(hard.request.difficulty).toBeGreaterThan(easy.request.difficulty + 0.2);
  expect([hard.observed.deployment, easy.observed.deployment]).toEqual([
    'large/fake-model',
    'small/fake-model',
  ]);
});

it('an encoder that does not answer in time is done without', async () => {
  const ask = await serve(1);
  const { request } = await ask(HARD.repeat(20));
  expect(request.judgedBy).toBe('features-1');
});

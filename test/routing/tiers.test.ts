import { expect, it, onTestFinished } from 'vitest';
import { configSchema } from '../../config/schema.ts';
import { POLICIES } from '../../routers/policies.ts';
import { startGateway } from '../../src/serve.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { newDataDir } from '../support/data-dir.ts';
import { chatBody } from '../support/gateway-process.ts';

const HARD =
  'Prove step by step that x^2 + y^2 = z^2 has infinitely many solutions, compare two proofs and explain why both hold:\n```py\ndef f(): ...\n```';

async function startAuto(quality: number, policy = 'balanced') {
  const [small, large] = [await startFakeUpstream(), await startFakeUpstream()];
  const price = (usd: number) => ({ inputUsdPerMTok: usd, outputUsdPerMTok: usd });
  const running = await startGateway(
    configSchema.parse({
      listen: { port: 0 },
      dataDir: newDataDir(),
      upstreams: [
        { name: 'small', url: small.url },
        { name: 'large', url: large.url },
      ],
      models: [
        {
          name: 'auto',
          policy,
          tiers: { threshold: 0.5, quality },
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
  const ask = async (content: string) => {
    const reply = await fetch(`${running.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: chatBody('auto', { messages: [{ role: 'user', content }] }),
    });
    expect(reply.status).toBe(200);
    await reply.text();
    const id = reply.headers.get('x-qianmen-decision');
    const decision = (await (await fetch(`${running.url}/admin/decisions/${id}`)).json()) as {
      request: { difficulty: number };
      refused: object[];
      observed: { deployment: string };
    };
    return decision;
  };
  return { ask, small, large };
}

it.each(Object.keys(POLICIES))(
  'under %s easy requests go to a small model, hard ones where they are answered well, however long they are',
  async (policy) => {
    const { ask, small, large } = await startAuto(0.8, policy);
    const easy = await ask('hi there');
    expect(easy).toMatchObject({ observed: { deployment: 'small/fake-model' } });
    expect(easy.request.difficulty).toBeLessThan(0.5);
    const hard = await ask(HARD);
    expect(hard).toMatchObject({
      observed: { deployment: 'large/fake-model' },
      refused: [{ deployment: 'small/fake-model', obstacle: 'quality' }],
    });
    expect(hard.request.difficulty).toBeGreaterThan(0.5);
    await ask(HARD + ' and so on'.repeat(5_000));
    expect([small.requests.length, large.requests.length]).toEqual([1, 2]);
  },
);

it('hard requests are answered as well as may be where nothing is good enough', async () => {
  const { ask } = await startAuto(0.95);
  expect(await ask(HARD)).toMatchObject({ observed: { deployment: 'large/fake-model' } });
});

it('easy requests go to a large model while the small one fails', async () => {
  const { ask, small } = await startAuto(0.8);
  small.setBehaviour({ status: 500 });
  expect(await ask('hi there')).toMatchObject({ observed: { deployment: 'large/fake-model' } });
});

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { POLICIES } from '../../routers/policies.ts';
import type { DecisionView } from '../../src/decisions/decision-view.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { chatBody, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';

let gateway: GatewayProcess | undefined;
const fakes: FakeUpstream[] = [];

afterEach(async () => {
  await gateway?.kill();
  gateway = undefined;
  await Promise.all(fakes.splice(0).map((fake) => fake.close()));
});

const price = (usd: number) => ({ inputUsdPerMTok: usd, outputUsdPerMTok: usd });
const DEPLOYMENTS = [
  { upstream: 'house', model: 'fake-model', price: price(10) },
  { upstream: 'cloud', model: 'fake-model', price: price(1) },
];

/**
 * Two servers of one model: `house` is private and dear, `cloud` is public and cheap.
 * @param policies For each of them there is one more model, of its name.
 */
async function start(extra: object = {}, model: object = {}, policies: readonly string[] = []) {
  const [house, cloud] = [await startFakeUpstream(), await startFakeUpstream()];
  fakes.push(house, cloud);
  gateway = await startGatewayProcess({
    upstreams: [
      { name: 'house', url: house.url, privacy: 'private', region: 'cn-1' },
      { name: 'cloud', url: cloud.url, region: 'eu-1' },
    ],
    models: [
      { name: 'm', policy: 'lowest-cost', deployments: DEPLOYMENTS, ...model },
      ...policies.map((policy) => ({ name: policy, policy, deployments: DEPLOYMENTS })),
    ],
    ...extra,
  });
  return { url: gateway.url, house, cloud };
}

function ask(url: string, headers: Record<string, string> = {}, extra: object = {}) {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: chatBody('m', extra),
  });
}

async function admin(url: string, path: string) {
  const reply = await fetch(`${url}/admin${path}`);
  return { status: reply.status, body: (await reply.json()) as Record<string, never> };
}

it.each([true, false])(
  'explains where a request went, why, and what it might have cost elsewhere (stream: %s)',
  async (stream) => {
    const { url } = await start();
    const reply = await ask(url, {}, { stream });
    await reply.text();
    expect(reply.headers.has('x-qianmen-route')).toBe(false);
    const { body } = await admin(url, `/decisions/${reply.headers.get('x-qianmen-decision')}`);
    expect(body).toMatchObject({
      model: 'm',
      requestId: reply.headers.get('x-request-id'),
      refused: [],
      choices: [
        {
          policy: 'lowest-cost',
          chosen: 'cloud/fake-model',
          candidates: [
            {
              id: 'cloud/fake-model',
              ready: true,
              privacy: 'public',
              predicted: { costUsd: expect.any(Number) },
            },
            {
              id: 'house/fake-model',
              ready: true,
              privacy: 'private',
              predicted: { costUsd: expect.any(Number) },
            },
          ],
        },
      ],
      observed: { outcome: 'ok', status: 200, deployment: 'cloud/fake-model' },
    });
    const { body: list } = await admin(url, '/decisions?limit=1');
    expect(list).toEqual({ decisions: [body] });
  },
);

it('predicts time and cost of every candidate, whichever policy chooses', async () => {
  const policies = Object.keys(POLICIES);
  const { url } = await start({}, {}, policies);
  for (const policy of policies) {
    for (let i = 0; i < 4; i += 1) await (await ask(url, {}, { model: policy, stream: true })).text();
    const { body } = await admin(url, '/decisions?limit=1');
    const [decision] = (body as unknown as { decisions: DecisionView[] }).decisions;
    expect(decision!.model).toBe(policy);
    const { candidates } = decision!.choices[0]!;
    expect(candidates, policy).toHaveLength(2);
    for (const { predicted } of candidates)
      expect(predicted, policy).toMatchObject({ ttftMs: expect.any(Number), costUsd: expect.any(Number) });
    // Ten times the price for the same tokens.
    const usd = (id: string) => candidates.find((one) => one.id === id)!.sameReplyUsd!;
    expect(usd('house/fake-model') / usd('cloud/fake-model'), policy).toBeCloseTo(10, 6);
  }
});

it('says why a server was not asked', async () => {
  const { url, house } = await start({}, { policy: 'round-robin' });
  house.cutConnections();
  house.setBehaviour({ status: 429, retryAfter: '60' });
  let passedOver: unknown;
  for (let i = 0; i < 8 && passedOver === undefined; i += 1) {
    const reply = await ask(url);
    await reply.text();
    const { body } = await admin(url, `/decisions/${reply.headers.get('x-qianmen-decision')}`);
    [passedOver] = (body as unknown as DecisionView).choices.at(-1)!.passedOver;
  }
  expect(passedOver).toEqual({ deployment: 'house/fake-model', because: 'not-ready' });
});

it('names the decision of a failed request, too, and says what forbade it', async () => {
  const { url, house, cloud } = await start();
  const reply = await ask(url, { 'x-qianmen-privacy': 'local' });
  expect(reply.status).toBe(503);
  expect(await reply.json()).toMatchObject({
    error: { code: 'no_deployment_allowed', message: expect.stringContaining('`local`') },
  });
  const { body } = await admin(url, `/decisions/${reply.headers.get('x-qianmen-decision')}`);
  expect(body).toMatchObject({
    refused: [
      { deployment: 'house/fake-model', obstacle: 'privacy' },
      { deployment: 'cloud/fake-model', obstacle: 'privacy' },
    ],
    choices: [],
    observed: { status: 503, code: 'no_deployment_allowed' },
  });
  expect([house, cloud].flatMap(({ requests }) => requests)).toEqual([]);
});

it('keeps a text with a card number in the house, and a request in its region', async () => {
  const { url, house, cloud } = await start({ region: 'cn-1', privacy: { detect: ['payment-card'] } });
  const card = { messages: [{ role: 'user', content: '我的卡号是 4111 1111 1111 1111' }] };
  await (await ask(url, {}, card)).text();
  await (await ask(url, {}, { ...card, stream: true })).text();
  await (await ask(url, { 'x-qianmen-privacy': 'region' })).text();
  expect(cloud.requests).toHaveLength(0);
  expect(house.requests).toHaveLength(3);
  await (await ask(url)).text();
  expect(cloud.requests).toHaveLength(1);
});

it('reckons with a usual reply where a request limits its cost and not its length', async () => {
  const { url } = await start();
  const limited = await ask(url, { 'x-qianmen-max-cost': '0.001' });
  await limited.text();
  const { body } = await admin(url, `/decisions/${limited.headers.get('x-qianmen-decision')}`);
  expect(body).toMatchObject({ refused: [{ deployment: 'house/fake-model', obstacle: 'cost' }] });
  const dear = await ask(url, { 'x-qianmen-max-cost': '0.001' }, { max_tokens: 400, n: 3 });
  expect(dear.status).toBe(503);
  expect(await dear.json()).toMatchObject({
    error: { code: 'no_deployment_allowed', message: expect.stringContaining('0.001 USD') },
  });
});

it('tells clients the route where the operator wants that, and refuses what it cannot understand', async () => {
  const { url } = await start({ decisions: { routeHeader: true } });
  for (const stream of [true, false]) {
    const reply = await ask(url, {}, { stream });
    await reply.text();
    expect(reply.headers.get('x-qianmen-route')).toMatch(/^cloud\/fake-model; policy=lowest-cost; score=/);
  }
  const refused = await ask(url, { 'x-qianmen-privacy': 'region' });
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({ error: { param: 'x-qianmen-privacy' } });
});

it('writes every decision to a file, without content', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'decisions-'));
  const { url } = await start({ dataDir, decisions: { log: true } });
  const reply = await ask(
    url,
    { 'x-qianmen-session': 'secret-session' },
    {
      messages: [{ role: 'user', content: 'secret-word '.repeat(100) }],
    },
  );
  await reply.text();
  gateway?.child.kill('SIGTERM');
  await gateway?.exited;
  const text = readFileSync(join(dataDir, 'decisions.jsonl'), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ id: reply.headers.get('x-qianmen-decision') });
  expect(text).not.toContain('secret');
  const { stdout } = await promisify(execFile)(process.execPath, [
    fileURLToPath(new URL('../../src/main.ts', import.meta.url)),
    'replay',
    join(dataDir, 'decisions.jsonl'),
    '--policy',
    'round-robin',
  ]);
  expect(stdout).toMatch(/^1 of 1 decisions had a choice/);
});

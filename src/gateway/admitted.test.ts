import { describe, expect, it } from 'vitest';
import { roundRobin } from '../../routers/round-robin.ts';
import type { Backend } from '../core/backend.ts';
import type { Caller } from '../core/caller.ts';
import type { Price } from '../core/deployment.ts';
import { AppError } from '../core/error.ts';
import type { GatewayEvent, RequestAdmitted, RequestSettled } from '../core/event.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest } from '../core/request.ts';
import { Gateway } from './gateway.ts';
import type { Admission, AdmissionAsk } from './request/admission.ts';

const price = { inputUsdPerMTok: 1, cachedInputUsdPerMTok: 0.5, outputUsdPerMTok: 2 };
const usage = { promptTokens: 7, completionTokens: 3, cachedPromptTokens: 2, reasoningTokens: 0 };
const ANSWER: Part[] = [
  { type: 'start', promptTokens: 7, cachedPromptTokens: 2 },
  { type: 'text-delta', index: 0, text: 'Hello', tokens: 1 },
  { type: 'text-delta', index: 0, text: ' there', tokens: 2 },
  { type: 'finish', index: 0, reason: 'stop' },
  { type: 'usage', usage },
];

const caller: Caller = {
  keyId: 'key_1',
  projectId: 'proj_1',
  organizationId: 'org_1',
  role: 'user',
  weight: 1,
  priority: 0,
  demands: {},
  limits: { key: {}, project: {}, organization: {} },
};

function request(changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    id: 'req_1',
    endpoint: 'chat',
    model: 'm',
    prompts: [{ kind: 'chat', messages: [] }],
    n: 2,
    stream: true,
    stop: { maxTokens: 10 },
    requirements: [],
    wire: { dialect: 'openai', path: '/chat/completions', body: Buffer.alloc(40) },
    ...changes,
  } as unknown as GenerateRequest;
}

function backend(run: Backend['run'], name = 'b'): Backend {
  return {
    name,
    kind: 'engine',
    run,
    lacks: () => undefined,
    health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
    close: async () => {},
  };
}

async function* parts(all: readonly Part[], failure?: Error) {
  yield* all;
  if (failure) throw failure;
}

function gatewayOver(
  backends: readonly Backend[],
  admit?: Admission['admit'],
  priced: Price | undefined = price,
  machineUsdPerHour?: number,
) {
  const events: GatewayEvent[] = [];
  const asked: AdmissionAsk[] = [];
  const settled: { tokens: number; nanoUsd: number }[] = [];
  const deployments = backends.map((one) => ({
    id: `${one.name}/m`,
    backend: one,
    model: 'm',
    region: undefined,
    privacy: 'local' as const,
    price: machineUsdPerHour === undefined ? priced : undefined,
    machineUsdPerHour,
    contextTokens: undefined,
  }));
  const gateway = new Gateway({
    routes: new Map([['m', { model: { name: 'm', deployments, createdAtS: 0 }, policy: roundRobin() }]]),
    emit: (event) => events.push(event),
    maxRetries: 2,
    admission: {
      admit(ask) {
        asked.push(ask);
        return admit?.(ask) ?? { rate: {}, settle: (used) => void settled.push(used) };
      },
    },
  });
  const last = () => events.at(-1) as RequestSettled;
  return { gateway, events, asked, settled, last };
}

async function ask(gateway: Gateway, terms = {}, changes: Partial<GenerateRequest> = {}) {
  const texts: string[] = [];
  await gateway.handle(
    request(changes),
    new AbortController().signal,
    async (reply) => {
      if (reply.kind === 'parts')
        for await (const part of reply.parts) if (part.type === 'text-delta') texts.push(part.text);
    },
    { caller, ...terms },
  );
  return texts.join('');
}

describe('a request with a caller', () => {
  it('sets aside its prompt and all the output it may have, at the price of the dearest deployment', async () => {
    const { gateway, asked } = gatewayOver([backend(async () => parts(ANSWER))]);
    await ask(gateway);
    expect(asked).toEqual([
      { caller, model: 'm', modelLimits: undefined, tokens: 10 + 20, nanoUsd: 10 * 1_000 + 20 * 2_000 },
    ]);
  });

  it('may cost as many tokens as it has bytes, and holds so much of a budget', async () => {
    const { gateway, asked } = gatewayOver([backend(async () => parts(ANSWER))]);
    const spender = { ...caller, limits: { ...caller.limits, project: { nanoUsdPerDay: 1_000_000 } } };
    await ask(gateway, { caller: spender });
    expect(asked).toMatchObject([{ nanoUsd: 50_000, mostNanoUsd: 40 * 1_000 + 20 * 2_000 }]);
  });

  it('holds as much as the longest reply of late where it does not say how long a one it wants', async () => {
    const long = { ...usage, completionTokens: 5_000 };
    const { gateway, asked } = gatewayOver([
      backend(async () => parts([...ANSWER.slice(0, 4), { type: 'usage', usage: long }])),
    ]);
    const spender = { ...caller, limits: { ...caller.limits, key: { nanoUsdPerMonth: 1e9 } } };
    for (let i = 0; i < 2; i += 1) await ask(gateway, { caller: spender }, { stop: {} as never });
    const held = asked.map(({ mostNanoUsd }) => mostNanoUsd);
    expect(held).toEqual([40 * 1_000 + 2 * 1_024 * 2_000, 40 * 1_000 + 5_000 * 2_000]);
  });

  it('holds no more because another project has had a long reply', async () => {
    const long = { ...usage, completionTokens: 60_000 };
    const { gateway, asked } = gatewayOver([
      backend(async () => parts([...ANSWER.slice(0, 4), { type: 'usage', usage: long }])),
    ]);
    const spender = { ...caller, limits: { ...caller.limits, key: { nanoUsdPerMonth: 1e9 } } };
    await ask(gateway, { caller: { ...spender, projectId: 'other' } }, { stop: {} as never });
    await ask(gateway, { caller: spender }, { stop: {} as never });
    expect(asked[1]?.mostNanoUsd).toBe(asked[0]?.mostNanoUsd);
  });

  it('is settled with what it used', async () => {
    const { gateway, settled, last } = gatewayOver([backend(async () => parts(ANSWER))]);
    await ask(gateway);
    const cost = 5 * 1_000 + 2 * 500 + 3 * 2_000;
    expect(settled).toEqual([{ tokens: 10, nanoUsd: cost }]);
    expect(last()).toMatchObject({ costNanoUsd: cost, usage, caller });
    expect(last().attempts).toMatchObject([{ deployment: 'b/m', usage, costNanoUsd: cost, wasteNanoUsd: 0 }]);
  });

  it('pays for what came of a reply that broke off', async () => {
    const broken = backend(async () => parts(ANSWER.slice(0, 3), new AppError('upstream_error')));
    const { gateway, settled, last } = gatewayOver([broken]);
    await expect(ask(gateway)).rejects.toMatchObject({ code: 'upstream_error' });
    expect(settled).toEqual([{ tokens: 10, nanoUsd: 12_000 }]);
    expect(last()).toMatchObject({ outcome: 'error', usageMeasured: false, usage });
  });

  it('pays nothing for a reply of which nothing came, nor for tries that failed', async () => {
    const broken = backend(async () => parts(ANSWER.slice(0, 1), new AppError('upstream_error')));
    const failing = backend(async () => Promise.reject(new AppError('upstream_error')), 'a');
    const { gateway, settled, last } = gatewayOver([failing, broken]);
    await expect(ask(gateway)).rejects.toMatchObject({ code: 'upstream_error' });
    expect(settled).toEqual([{ tokens: 0, nanoUsd: 0 }]);
    expect(last().attempts.map(({ costNanoUsd }) => costNanoUsd)).toEqual([0, 0]);
  });

  it.each([
    ['negative', { completionTokens: -5 }],
    ['more than it asked for', { completionTokens: 1e9 }],
    ['more than its bytes', { promptTokens: 1e12 }],
    ['a fraction', { promptTokens: 0.5 }],
    ['no number', { completionTokens: Number.NaN }],
  ])('pays what was counted where a server says that it used %s', async (_, absurd) => {
    const told = ANSWER.map((part) =>
      part.type === 'usage' ? { ...part, usage: { ...usage, ...absurd } } : part,
    );
    const { gateway, settled, last } = gatewayOver([backend(async () => parts(told))]);
    await ask(gateway);
    expect(settled).toEqual([{ tokens: 10, nanoUsd: 12_000 }]);
    expect(last()).toMatchObject({ outcome: 'ok', usageMeasured: false });
  });

  it('sets aside a machine’s time where that is what is paid for', async () => {
    const { gateway, asked } = gatewayOver([backend(async () => parts(ANSWER))], undefined, undefined, 3.6);
    await ask(gateway);
    expect(asked[0]?.nanoUsd).toBe(30_000_000);
    // By now it is known that it takes no half a minute.
    await ask(gateway);
    expect(asked[1]?.nanoUsd).toBeLessThan(5_000_000);
  });

  it('pays what was counted where a server says that it used nothing', async () => {
    const nothing = { ...usage, promptTokens: 0, completionTokens: 0, cachedPromptTokens: 0 };
    const told = ANSWER.map((part) => (part.type === 'usage' ? { ...part, usage: nothing } : part));
    const { gateway, settled } = gatewayOver([backend(async () => parts(told))]);
    await ask(gateway);
    expect(settled).toEqual([{ tokens: 10, nanoUsd: 12_000 }]);
  });

  it('that is refused reaches no backend and is not settled with anybody', async () => {
    let reached = 0;
    const counting = backend(async () => {
      reached++;
      return parts(ANSWER);
    });
    const { gateway, settled, events } = gatewayOver([counting], () => {
      throw new AppError('rate_limit_exceeded', { retryAfterMs: 500 });
    });
    await expect(ask(gateway)).rejects.toMatchObject({ code: 'rate_limit_exceeded', retryAfterMs: 500 });
    expect(reached).toBe(0);
    expect(settled).toEqual([]);
    expect(events).toMatchObject([{ type: 'request-settled', attempts: [], costNanoUsd: 0 }]);
  });

  it('is told of before it is sent, with what it has had so far', async () => {
    const seen: unknown[] = [];
    const { gateway, events } = gatewayOver([
      backend(async () => {
        seen.push(events.at(-1)?.type);
        return parts(ANSWER);
      }),
    ]);
    const { signal } = new AbortController();
    await gateway.handle(
      request(),
      signal,
      async (reply) => {
        if (reply.kind !== 'parts') return;
        for await (const part of reply.parts) {
          const [admitted] = events;
          if (part.type === 'text-delta' && admitted?.type === 'request-admitted')
            seen.push(admitted.soFar().map((one) => one.usage.completionTokens));
        }
      },
      { caller, decisionId: 'dec_9' },
    );
    expect(seen).toEqual(['request-admitted', [1], [3]]);
    const { serial } = events[0] as RequestAdmitted;
    expect(events).toMatchObject([
      { settlementId: 'dec_9', serial },
      { type: 'request-begun', serial },
      { settlementId: 'dec_9', serial },
    ]);
  });

  it('finds only the models that its key is for', async () => {
    const { gateway, asked } = gatewayOver([backend(async () => parts(ANSWER))]);
    const other = { ...caller, models: ['x'] };
    await expect(ask(gateway, { caller: other })).rejects.toMatchObject({ code: 'model_not_found' });
    expect(asked).toEqual([]);
    expect(gateway.models(other)).toEqual([]);
    expect(gateway.models(caller)).toHaveLength(1);
  });

  it("never shares a model's memory of prompts with another tenant's", async () => {
    const salts: unknown[] = [];
    const { gateway } = gatewayOver([
      backend(async ({ cacheSalt }) => {
        salts.push(cacheSalt);
        return parts(ANSWER);
      }),
    ]);
    await ask(gateway, { caller: { ...caller, projectId: 'a' } }, { cacheSalt: 'b c' });
    await ask(gateway, { caller: { ...caller, projectId: 'a' } });
    await ask(gateway, { caller: { ...caller, projectId: 'b' } });
    expect(new Set(salts).size).toBe(3);
  });

  it('pays for the pictures and the sound of its prompt, whose bytes are no tokens', async () => {
    const wav = Buffer.alloc(44 + 32_001);
    wav.writeUInt32LE(16_000, 28);
    const content = [
      { type: 'text' as const, text: 'What is this?' },
      { type: 'image' as const, url: `data:image/png;base64,${'A'.repeat(100_000)}` },
      { type: 'audio' as const, data: wav.toString('base64'), format: 'wav' },
    ];
    const requirements = [{ capability: 'image' as const, param: 'messages' }];
    const perMedia = { ...price, usdPerImage: 0.01, usdPerAudioSecond: 0.001 };
    const { gateway, asked, last } = gatewayOver([backend(async () => parts(ANSWER))], undefined, perMedia);
    const prompts = [{ kind: 'chat' as const, messages: [{ role: 'user' as const, content }] }];
    await ask(gateway, {}, { prompts, requirements });
    expect(asked[0]?.tokens).toBeLessThan(100);
    const text = 5 * 1_000 + 2 * 500 + 3 * 2_000;
    // A little more than two seconds are three.
    expect(last().costNanoUsd).toBe(text + 10_000_000 + 3 * 1_000_000);
  });

  it('may not loosen what its tenant demands', async () => {
    const { gateway } = gatewayOver([backend(async () => parts(ANSWER))]);
    const strict = { ...caller, demands: { maxCostUsd: 0.000_000_1 } };
    await expect(ask(gateway, { caller: strict, demands: { maxCostUsd: 1 } })).rejects.toMatchObject({
      code: 'no_deployment_allowed',
    });
  });
});

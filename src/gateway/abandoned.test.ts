import { describe, expect, it } from 'vitest';
import { UNKNOWN_REQUEST } from '../../routers/request.ts';
import { roundRobin } from '../../routers/round-robin.ts';
import type { Backend } from '../core/backend.ts';
import type { Caller } from '../core/caller.ts';
import type { Deployment } from '../core/deployment.ts';
import type { GatewayEvent, RequestSettled } from '../core/event.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest } from '../core/request.ts';
import { Gateway } from './gateway.ts';
import { DecisionTrace } from './placement/decision-trace.ts';
import { Settlement } from './settlement.ts';

const PROMPT_TOKENS = 100;

/** One request at a time; each of them waits to be answered by the test, unless its client leaves. */
class OneByOne implements Backend {
  readonly name = 'b';
  readonly kind = 'engine';
  readonly concurrency = { initial: 1, max: 1 };
  /** Tenants, in the order in which they were served. */
  readonly served: string[] = [];
  #answer = () => {};

  run(request: GenerateRequest, { signal }: { readonly signal: AbortSignal }) {
    this.served.push(request.id);
    return new Promise<AsyncIterable<Part>>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      this.#answer = () => resolve(answer());
    });
  }

  async answer(): Promise<void> {
    this.#answer();
    await turn();
  }

  lacks() {
    return undefined;
  }

  health() {
    return { state: 'ready', inFlight: 0, queued: 0 } as const;
  }

  async close() {}
}

async function* answer(): AsyncIterable<Part> {
  yield { type: 'start', promptTokens: PROMPT_TOKENS, cachedPromptTokens: 0 };
  yield { type: 'text-delta', index: 0, text: 'Hello', tokens: 1 };
  yield { type: 'finish', index: 0, reason: 'stop' };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

function callerOf(projectId: string): Caller {
  return {
    ...{
      keyId: projectId,
      projectId,
      organizationId: 'o',
      role: 'user',
      weight: 1,
      priority: 0,
      demands: {},
    },
    limits: { key: {}, project: {}, organization: {} },
  };
}

function deploymentOf(backend: Backend): Deployment {
  return {
    ...{ id: `${backend.name}/m`, backend, model: 'm', region: undefined, privacy: 'local' },
    price: { inputUsdPerMTok: 1, cachedInputUsdPerMTok: 1, outputUsdPerMTok: 2 },
    contextTokens: undefined,
  };
}

function openGateway() {
  const backend = new OneByOne();
  const events: GatewayEvent[] = [];
  const used: { tokens: number; nanoUsd: number }[] = [];
  const deployment = deploymentOf(backend);
  const model = { name: 'm', deployments: [deployment], createdAtS: 0 };
  const gateway = new Gateway({
    routes: new Map([['m', { model, policy: roundRobin() }]]),
    emit: (event) => events.push(event),
    maxRetries: 2,
    admission: { admit: () => ({ rate: {}, settle: (all) => void used.push(all) }) },
  });
  /** Asks as a tenant. Resolves to the code of what went wrong. */
  const ask = (tenant: string, client = new AbortController(), { stream = true, timeoutMs = 60_000 } = {}) =>
    gateway
      .handle(
        {
          ...{ id: tenant, endpoint: 'chat', model: 'm', prompts: [{ kind: 'chat', messages: [] }] },
          ...{ n: 1, stream, stop: { maxTokens: 50 }, requirements: [] },
          wire: { dialect: 'openai', path: '/chat/completions', body: Buffer.alloc(4 * PROMPT_TOKENS) },
        } as unknown as GenerateRequest,
        client.signal,
        async (reply) => {
          if (reply.kind === 'parts') for await (const _ of reply.parts);
        },
        { caller: callerOf(tenant), timeoutMs },
      )
      .then(
        () => undefined,
        (error: { code: string }) => error.code,
      );
  const settled = () => events.filter((event): event is RequestSettled => event.type === 'request-settled');
  return { backend, ask, settled, used };
}

const PROMPT = { promptTokens: PROMPT_TOKENS, completionTokens: 0 };
const PROMPT_NANO_USD = PROMPT_TOKENS * 1_000;

describe('whose client does not wait for the first token', () => {
  it.each([
    ['has left', 'client_closed', 60_000],
    ['has had no more time', 'deadline_exceeded', 20],
  ])('pays for its prompt once it %s', async (_, code, timeoutMs) => {
    const { backend, ask, settled, used } = openGateway();
    const client = new AbortController();
    const asked = ask('a', client, { timeoutMs });
    await turn();
    expect(backend.served).toHaveLength(1);
    if (code === 'client_closed') client.abort();
    expect(await asked).toBe(code);
    expect(settled()).toMatchObject([
      {
        usage: PROMPT,
        usageMeasured: false,
        costNanoUsd: PROMPT_NANO_USD,
        attempts: [{ code, usage: PROMPT, costNanoUsd: PROMPT_NANO_USD, wasteNanoUsd: 0 }],
      },
    ]);
    expect(used).toEqual([{ tokens: PROMPT_TOKENS, nanoUsd: PROMPT_NANO_USD }]);
  });

  it('pays nothing where it left the line', async () => {
    const { backend, ask, settled, used } = openGateway();
    const client = new AbortController();
    const first = ask('a');
    const asked = ask('b', client);
    await turn();
    client.abort();
    expect(await asked).toBe('client_closed');
    expect(used).toEqual([{ tokens: 0, nanoUsd: 0 }]);
    expect(settled()).toMatchObject([{ usage: { promptTokens: 0 }, attempts: [] }]);
    await backend.answer();
    await first;
  });

  it('pays once where two backends were at work; the other one is the operator’s', () => {
    const settlement = new Settlement(
      's',
      { id: 'r', endpoint: 'chat', stream: true },
      callerOf('a'),
      () => 0,
    );
    settlement.decision = new DecisionTrace('s', { ...UNKNOWN_REQUEST, promptTokens: PROMPT_TOKENS });
    for (const kind of ['first', 'hedge'] as const)
      settlement.attempt(deploymentOf(new OneByOne()), {
        ...{ kind, code: 'client_closed', lost: false, durationMs: 0 },
      });
    expect(settlement.settle()).toMatchObject({
      costNanoUsd: PROMPT_NANO_USD,
      attempts: [
        { usage: PROMPT, costNanoUsd: PROMPT_NANO_USD, wasteNanoUsd: 0 },
        { usage: { promptTokens: 0 }, costNanoUsd: 0, wasteNanoUsd: PROMPT_NANO_USD },
      ],
    });
  });

  it('has had its turn: others are served in between', async () => {
    const { backend, ask } = openGateway();
    const running = ask('x');
    const clients = Array.from({ length: 3 }, () => new AbortController());
    const asked = [...clients.map((client) => ask('leaver', client)), ...clients.map(() => ask('patient'))];
    await turn();
    await backend.answer();
    while (backend.served.length < 7) {
      if (backend.served.at(-1) === 'leaver') {
        clients.shift()!.abort();
        await turn();
      } else await backend.answer();
    }
    await backend.answer();
    await Promise.all([running, ...asked]);
    expect(backend.served).toEqual(['x', 'leaver', 'patient', 'leaver', 'patient', 'leaver', 'patient']);
  });

  it('has had all that a whole reply may come to, where its pace is not known', async () => {
    const { backend, ask } = openGateway();
    const running = ask('x');
    const client = new AbortController();
    const left = ask('leaver', client, { stream: false });
    await turn();
    await backend.answer();
    await running;
    const line = [ask('patient'), ask('patient'), ask('leaver')];
    await turn();
    client.abort();
    await turn();
    await backend.answer();
    await backend.answer();
    await backend.answer();
    await Promise.all([left, ...line]);
    expect(backend.served.slice(-4)).toEqual(['leaver', 'patient', 'patient', 'leaver']);
  });
});

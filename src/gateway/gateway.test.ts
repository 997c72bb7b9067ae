import { describe, expect, it } from 'vitest';
import { roundRobin } from '../../routers/round-robin.ts';
import type { Backend, Relay } from '../core/backend.ts';
import { AppError } from '../core/error.ts';
import type { GatewayEvent, RequestSettled } from '../core/event.ts';
import { newObservation } from '../core/observation.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest } from '../core/request.ts';
import { Gateway } from './gateway.ts';

const request = {
  id: 'req_1',
  endpoint: 'chat',
  model: 'm',
  prompts: [{ kind: 'chat', messages: [] }],
  n: 1,
  stream: true,
  requirements: [],
  wire: { dialect: 'openai', path: '/chat/completions', body: Buffer.from('{}') },
} as unknown as GenerateRequest;

const answer: Part[] = [
  { type: 'start', promptTokens: 7, cachedPromptTokens: 2 },
  { type: 'text-delta', index: 0, text: 'Hello', tokens: 1 },
  { type: 'text-delta', index: 0, text: ' there', tokens: 2 },
  { type: 'finish', index: 0, reason: 'stop' },
  {
    type: 'usage',
    usage: { promptTokens: 7, completionTokens: 3, cachedPromptTokens: 2, reasoningTokens: 0 },
  },
];

function backend(name: string, run: Backend['run'], extra: Partial<Backend> = {}): Backend {
  return {
    name,
    kind: 'engine',
    run,
    lacks: () => undefined,
    health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
    close: async () => {},
    ...extra,
  };
}

async function* stream(parts: readonly Part[]) {
  yield* parts;
}

function gatewayOver(...backends: Backend[]) {
  const events: GatewayEvent[] = [];
  const deployments = backends.map((b) => ({
    id: `${b.name}/m`,
    backend: b,
    model: 'm',
    region: undefined,
    privacy: 'local' as const,
    price: undefined,
    contextTokens: undefined,
  }));
  let clock = 0;
  const gateway = new Gateway({
    routes: new Map([['m', { model: { name: 'm', deployments, createdAtS: 0 }, policy: roundRobin() }]]),
    emit: (event) => events.push(event),
    maxRetries: 2,
    now: () => clock++,
  });
  return { gateway, settled: () => events as RequestSettled[] };
}

async function collect(
  gateway: Gateway,
  signal = new AbortController().signal,
  req = request,
): Promise<Part[]> {
  const seen: Part[] = [];
  await gateway.handle(req, signal, async (reply) => {
    if (reply.kind !== 'parts') throw new Error('expected parts');
    for await (const part of reply.parts) seen.push(part);
  });
  return seen;
}

describe('Gateway', () => {
  it('delivers the parts and settles once with the measured usage', async () => {
    const { gateway, settled } = gatewayOver(backend('a', async () => stream(answer)));
    expect(await collect(gateway)).toEqual(answer);
    expect(settled()).toHaveLength(1);
    expect(settled()[0]).toMatchObject({
      outcome: 'ok',
      status: 200,
      deployment: 'a/m',
      usageMeasured: true,
      usage: { promptTokens: 7, completionTokens: 3, cachedPromptTokens: 2 },
    });
    expect(settled()[0]?.ttftMs).toBeGreaterThan(0);
    expect(gateway.inFlight).toBe(0);
  });

  it('tries the next deployment while nothing was delivered and a retry may help', async () => {
    const { gateway, settled } = gatewayOver(
      backend('a', async () => {
        throw new AppError('upstream_unreachable');
      }),
      backend('b', async () => stream(answer)),
    );
    expect(await collect(gateway)).toHaveLength(answer.length);
    expect(settled()[0]?.attempts).toMatchObject([
      { backend: 'a', code: 'upstream_unreachable' },
      { backend: 'b', code: undefined },
    ]);
  });

  it('does not retry what would fail everywhere', async () => {
    let calls = 0;
    const refuse = async () => {
      calls++;
      throw new AppError('context_length_exceeded', { param: 'messages' });
    };
    const { gateway } = gatewayOver(backend('a', refuse), backend('b', refuse));
    await expect(collect(gateway)).rejects.toMatchObject({
      code: 'context_length_exceeded',
      param: 'messages',
    });
    expect(calls).toBe(1);
  });

  it('gives up after the configured number of attempts', async () => {
    let calls = 0;
    const down = async () => {
      calls++;
      throw new AppError('model_unavailable', { retryAfterMs: 500 });
    };
    const { gateway } = gatewayOver(...['a', 'b', 'c', 'd', 'e'].map((name) => backend(name, down)));
    await expect(collect(gateway)).rejects.toMatchObject({ code: 'model_unavailable', retryAfterMs: 500 });
    expect(calls).toBe(3);
  });

  it('never retries after the reply has begun, and bills what was delivered', async () => {
    let calls = 0;
    const breaksOff = async () => {
      calls++;
      return stream([...answer.slice(0, 3), { type: 'error', error: new AppError('model_unavailable') }]);
    };
    const { gateway, settled } = gatewayOver(backend('a', breaksOff), backend('b', breaksOff));
    await expect(collect(gateway)).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(calls).toBe(1);
    expect(settled()[0]).toMatchObject({
      outcome: 'error',
      usageMeasured: false,
      usage: { promptTokens: 7, completionTokens: 3, cachedPromptTokens: 2 },
    });
  });

  it('settles as cancelled when the client leaves, and stops the backend', async () => {
    let stopped = false;
    const leave = new AbortController();
    const endless = async () =>
      (async function* () {
        try {
          for (;;) {
            yield answer[1] as Part;
            leave.abort();
          }
        } finally {
          stopped = true;
        }
      })();
    const { gateway, settled } = gatewayOver(backend('a', endless));
    const served = gateway.handle(request, leave.signal, async (reply) => {
      if (reply.kind !== 'parts') return;
      for await (const _ of reply.parts) leave.signal.throwIfAborted();
    });
    await expect(served).rejects.toMatchObject({ code: 'client_closed' });
    expect(stopped).toBe(true);
    expect(settled()[0]).toMatchObject({ outcome: 'cancelled', status: 499 });
    expect(gateway.inFlight).toBe(0);
  });

  it('relays where the backend speaks the dialect, with what its tap saw', async () => {
    const observation = newObservation();
    observation.usage = { promptTokens: 3, completionTokens: 4, cachedPromptTokens: 0, reasoningTokens: 0 };
    const relay: Relay = { status: 200, contentType: 'text/event-stream', observation, pump: async () => {} };
    const { gateway, settled } = gatewayOver(
      backend('a', async () => stream(answer), { kind: 'upstream', relay: async () => relay }),
    );
    await gateway.handle(request, new AbortController().signal, async (reply) => {
      expect(reply).toEqual({ kind: 'relay', relay });
    });
    expect(settled()[0]).toMatchObject({ usage: { completionTokens: 4 }, usageMeasured: true });
  });

  it('passes by a deployment that lacks what the request needs', async () => {
    const { gateway, settled } = gatewayOver(
      backend('a', async () => stream([]), { lacks: () => ({ capability: 'tools', param: 'tools' }) }),
      backend('b', async () => stream(answer)),
    );
    await collect(gateway);
    expect(settled()[0]?.attempts).toMatchObject([{ backend: 'b' }]);
  });

  it('names the field that no deployment supports', async () => {
    const lacks = () => ({ capability: 'image' as const, param: 'messages[0].content[1]' });
    const { gateway } = gatewayOver(backend('a', async () => stream([]), { lacks }));
    await expect(collect(gateway)).rejects.toMatchObject({
      code: 'unsupported_content',
      status: 400,
      param: 'messages[0].content[1]',
    });
  });

  it('refuses an unknown model without inventing a metric label', async () => {
    const { gateway, settled } = gatewayOver(backend('a', async () => stream(answer)));
    await expect(
      collect(gateway, new AbortController().signal, { ...request, model: 'nope' }),
    ).rejects.toMatchObject({ code: 'model_not_found', status: 404, param: 'model' });
    expect(settled()[0]?.model).toBeUndefined();
  });
});

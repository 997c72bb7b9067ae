import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { roundRobin } from '../../routers/round-robin.ts';
import type { Backend, Relay } from '../core/backend.ts';
import { AppError } from '../core/error.ts';
import type { GatewayEvent, RequestSettled } from '../core/event.ts';
import { newObservation } from '../core/observation.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest } from '../core/request.ts';
import { Gateway, type Reply } from './gateway.ts';

const request = {
  id: 'req_1',
  endpoint: 'chat',
  model: 'm',
  prompts: [{ kind: 'chat', messages: [] }],
  n: 1,
  stream: true,
  stop: {},
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

interface Options {
  readonly hedge?: boolean;
  readonly now?: () => number;
}

function gatewayOver(...backends: Backend[]) {
  return gatewayWith({}, ...backends);
}

function gatewayWith(options: Options, ...backends: Backend[]) {
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
  const model = { name: 'm', deployments, createdAtS: 0 };
  const route = { model, policy: roundRobin(), hedge: options.hedge ?? false };
  const routes = new Map([['m', route]]);
  const gateway = new Gateway({
    routes,
    emit: (event) => events.push(event),
    maxRetries: 2,
    now: options.now ?? (() => clock++),
  });
  return { gateway, settled: () => events as RequestSettled[], route };
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

  it('charges no retry for a deployment that the request never reached', async () => {
    const unreached = async () => {
      throw new AppError('upstream_unreachable', { nothingSent: true });
    };
    const { gateway, settled } = gatewayOver(
      ...['a', 'b', 'c', 'd'].map((name) => backend(name, unreached)),
      backend('e', async () => stream(answer)),
    );
    expect(await collect(gateway)).toHaveLength(answer.length);
    expect(settled()[0]?.attempts.map(({ kind }) => kind)).toEqual([
      'first',
      'retry',
      'retry',
      'retry',
      'retry',
    ]);
    expect(settled()[0]).toMatchObject({ deployment: 'e/m', outcome: 'ok' });
    expect(gateway.report().models[0]?.retries).toBe(0);
  });

  it('asks what is down last, and only when nothing else is left', async () => {
    const down = () => ({ state: 'down', inFlight: 0, queued: 0, retryAfterMs: 7_000 }) as const;
    const fail = async () => {
      throw new AppError('upstream_error');
    };
    const { gateway, settled } = gatewayOver(
      backend('a', fail, { health: () => ({ ...down(), retryAfterMs: 3_000 }) }),
      backend('b', fail, { health: down }),
    );
    await expect(collect(gateway)).rejects.toMatchObject({ code: 'upstream_error', retryAfterMs: 3_000 });
    expect(settled()[0]?.attempts).toHaveLength(2);
    const { gateway: mixed, settled: settledMixed } = gatewayOver(
      backend('a', fail, { health: down }),
      backend('b', async () => stream(answer)),
    );
    for (let i = 0; i < 3; i += 1) await collect(mixed);
    expect(settledMixed().flatMap(({ attempts }) => attempts.map((a) => a.backend))).toEqual(['b', 'b', 'b']);
  });

  it('goes back to one that is slow where the others fail, however many need it', async () => {
    let clock = 0;
    let slowMs = 10;
    const taking = (ms: () => number) => async () => {
      clock += ms();
      return stream(answer);
    };
    let others: Backend['run'] = taking(() => 10);
    let otherHealth: ReturnType<Backend['health']> = { state: 'ready', inFlight: 0, queued: 0 };
    const { gateway, settled } = gatewayWith(
      { now: () => clock },
      backend(
        'slow',
        taking(() => slowMs),
      ),
      backend('failing', (...args) => others(...args)),
      backend('down', (...args) => others(...args), { health: () => otherHealth }),
    );
    for (let i = 0; i < 60; i += 1) await collect(gateway);
    slowMs = 200;
    for (let i = 0; i < 60; i += 1) await collect(gateway);
    expect(gateway.report().backends[0]?.ejectedMs).toBeGreaterThan(0);
    others = async () => {
      throw new AppError('upstream_error');
    };
    otherHealth = { state: 'down', inFlight: 0, queued: 0 };
    slowMs = 0;
    await Promise.all(Array.from({ length: 20 }, () => collect(gateway)));
    const asked = settled().slice(-20);
    expect(asked.map(({ deployment }) => deployment)).toEqual(Array(20).fill('slow/m'));
    expect(new Set(asked.flatMap(({ attempts }) => attempts.map((one) => one.backend)))).toEqual(
      new Set(['failing', 'slow']),
    );
  });

  it('gives each a place, has the others wait their turn, and turns away who finds no room', async () => {
    let most = 0;
    let running = 0;
    const one = async () =>
      (async function* () {
        running += 1;
        most = Math.max(most, running);
        await new Promise(setImmediate);
        yield* answer;
        running -= 1;
      })();
    const { gateway, settled } = gatewayOver(backend('a', one, { concurrency: { initial: 2, max: 2 } }));
    gateway.configure({ queue: { capacity: 3, maxWaitMs: 10_000 } });
    const asked = Array.from({ length: 7 }, () => collect(gateway).catch((error: AppError) => error.code));
    const results = await Promise.all(asked);
    expect(results.filter((result) => result === 'overloaded')).toHaveLength(2);
    expect(most).toBe(2);
    expect(settled().filter(({ outcome, queuedMs }) => outcome === 'ok' && queuedMs > 0)).toHaveLength(3);
    expect(gateway.report()).toMatchObject({
      backends: [{ inFlight: 0, limit: 2 }],
      models: [{ active: 0, queued: 0, rejected: { full: 2, timeout: 0, share: 0 } }],
    });
  });

  it('ends with the time limit, whoever is at work', async () => {
    const asleep = (_: unknown, { signal }: { signal: AbortSignal }) =>
      new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    const { gateway, settled } = gatewayOver(backend('a', asleep), backend('b', asleep));
    await expect(
      gateway.handle(request, new AbortController().signal, async () => {}, { timeoutMs: 10 }),
    ).rejects.toMatchObject({ code: 'deadline_exceeded', status: 504 });
    expect(settled()).toMatchObject([
      { outcome: 'error', status: 504, attempts: [{ backend: 'a', code: 'deadline_exceeded' }] },
    ]);
    expect(gateway.inFlight).toBe(0);
  });

  it('cuts off no client that takes nothing as long as another backend has room', async () => {
    let nowMs = 0;
    const relaying = (name: string, max: number) =>
      backend(name, async () => stream(answer), {
        kind: 'upstream',
        concurrency: { initial: max, max },
        relay: async () => ({ observation: newObservation() }) as Relay,
      });
    const { gateway } = gatewayWith({ now: () => nowMs }, relaying('a', 1), relaying('b', 3));
    const leave = new AbortController();
    onTestFinished(() => leave.abort());
    const cutOff: string[] = [];
    const inside: string[] = [];
    const send = (name: string) => {
      const client = { takenBytes: 0, destroy: () => void cutOff.push(name) };
      const deliver = async (reply: Reply) => {
        if (reply.kind === 'relay') reply.relay.pauses?.paused();
        inside.push(name);
        await new Promise(() => {});
      };
      gateway.handle(request, leave.signal, deliver, { client }).catch(() => {});
      nowMs += 6_000;
    };
    for (const name of ['one', 'two', 'three', 'four']) {
      send(name);
      await vi.waitFor(() => expect(inside).toContain(name));
    }
    expect(gateway.report().backends.map(({ inFlight }) => inFlight)).toEqual([1, 3]);
    expect(cutOff).toEqual([]);
    send('five');
    expect(gateway.report().models).toMatchObject([{ queued: 1 }]);
    expect(cutOff).toEqual(['one']);
  });

  it('has no timer left when it is over in time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { gateway } = gatewayOver(backend('a', async () => stream(answer)));
    await gateway.handle(
      request,
      new AbortController().signal,
      () => {
        expect(vi.getTimerCount()).toBe(1);
      },
      { timeoutMs: 60_000 },
    );
    expect(vi.getTimerCount()).toBe(0);
  });

  it('shows both attempts of a hedge, and bills the deployment that answered', async () => {
    let slow = false;
    const first = async (_: unknown, { signal }: { signal: AbortSignal }) => {
      if (!slow) return stream(answer);
      return await new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    };
    const { gateway, settled } = gatewayWith(
      { hedge: true, now: () => performance.now() },
      backend('a', first),
      backend('b', async () => stream(answer)),
    );
    for (let i = 0; i < 100; i += 1) await collect(gateway);
    slow = true;
    await collect(gateway);
    expect(settled().at(-1)).toMatchObject({
      deployment: 'b/m',
      outcome: 'ok',
      attempts: [
        { backend: 'b', kind: 'hedge', lost: false, code: undefined },
        { backend: 'a', kind: 'first', lost: true, code: undefined },
      ],
    });
    expect(gateway.report().backends.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  it('gives back the place of a hedged request whose backend throws at once', async () => {
    let run: Backend['run'] = async () => stream(answer);
    const { gateway } = gatewayWith(
      { hedge: true, now: () => performance.now() },
      backend('a', (...asked) => run(...asked)),
      backend('b', (...asked) => run(...asked)),
    );
    for (let i = 0; i < 100; i += 1) await collect(gateway);
    run = () => {
      throw new Error('of a backend');
    };
    await expect(collect(gateway)).rejects.toThrow();
    expect(gateway.report().backends.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  it('lets a late attempt run on where a new configuration has nobody to hedge it with', async () => {
    let begin = () => {};
    const slow = async () => {
      gateway.configure({
        routes: new Map([['m', { ...route, model: { ...route.model, deployments: [] } }]]),
      });
      await new Promise<void>((resolve) => {
        begin = resolve;
      });
      return stream(answer);
    };
    let run: Backend['run'] = async () => stream(answer);
    const { gateway, settled, route } = gatewayWith(
      { hedge: true, now: () => performance.now() },
      backend('a', (...asked) => run(...asked)),
      backend('b', async () => stream(answer)),
    );
    for (let i = 0; i < 100; i += 1) await collect(gateway);
    run = slow;
    const late = collect(gateway);
    await new Promise((resolve) => setTimeout(resolve, 50));
    begin();
    expect(await late).toEqual(answer);
    expect(settled().at(-1)).toMatchObject({
      deployment: 'a/m',
      attempts: [{ backend: 'a', kind: 'first' }],
    });
    expect(gateway.report().backends.map(({ inFlight }) => inFlight)).not.toContain(1);
  });
});

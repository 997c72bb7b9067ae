import { describe, expect, it } from 'vitest';
import { roundRobin } from '../../routers/round-robin.ts';
import { callerOf } from '../../test/ledger/events.ts';
import type { Backend, Relay } from '../core/backend.ts';
import type { Embeddings, EmbedRequest, EncodeRequest, Encoder } from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import type { RequestSettled } from '../core/event.ts';
import { newObservation } from '../core/observation.ts';
import type { GenerateRequest } from '../core/request.ts';
import { type EncodeReply, Gateway } from './gateway.ts';

const request = {
  id: 'req_1',
  endpoint: 'embeddings',
  model: 'm',
  inputs: ['a'],
  wire: { body: Buffer.from('{}') },
} as unknown as EmbedRequest;
const embeddings: Embeddings = { endpoint: 'embeddings', vectors: [Float32Array.of(1)], promptTokens: 3 };
const health = () => ({ state: 'ready', inFlight: 0, queued: 0 }) as const;

function encoder(embed: Encoder['embed'], task: Encoder['task'] = 'embed'): Encoder {
  const unused = () => Promise.reject(new Error('not asked for'));
  return {
    name: 'e',
    kind: 'encoder',
    task,
    embed,
    rerank: unused,
    classify: unused,
    health,
    close: async () => {},
  };
}

function upstream(relay?: Backend['relay'], kind: Backend['kind'] = 'upstream'): Backend {
  return {
    name: 'u',
    kind,
    run: () => Promise.reject(new Error('not asked for')),
    ...(relay ? { relay } : {}),
    lacks: () => undefined,
    health,
    close: async () => {},
  };
}

function gatewayOver(...backends: (Backend | Encoder)[]) {
  const settled: RequestSettled[] = [];
  const deployments = backends.map((backend) => ({
    id: `${backend.name}/m`,
    backend,
    model: 'm',
    region: undefined,
    privacy: 'local' as const,
    price: undefined,
    contextTokens: undefined,
  }));
  const gateway = new Gateway({
    routes: new Map([['m', { model: { name: 'm', deployments, createdAtS: 0 }, policy: roundRobin() }]]),
    emit: (event) => settled.push(event as RequestSettled),
    maxRetries: 2,
  });
  return { gateway, settled };
}

async function run(gateway: Gateway, req: EncodeRequest = request, signal = new AbortController().signal) {
  let seen: EncodeReply | undefined;
  await gateway.encode(req, signal, async (reply) => {
    seen = reply;
  });
  return seen;
}

describe('a request for a vector', () => {
  it('is settled once, with the tokens that it had', async () => {
    const { gateway, settled } = gatewayOver(encoder(async () => embeddings));
    expect(await run(gateway)).toEqual({ kind: 'result', result: embeddings });
    expect(settled).toMatchObject([
      {
        type: 'request-settled',
        endpoint: 'embeddings',
        model: 'm',
        outcome: 'ok',
        stream: false,
        deployment: 'e/m',
        usage: { promptTokens: 3, completionTokens: 0 },
        usageMeasured: true,
        ttftMs: undefined,
      },
    ]);
    expect(gateway.inFlight).toBe(0);
  });

  it('goes to the next deployment while the failure says that it may help', async () => {
    const down = encoder(() => Promise.reject(new AppError('model_unavailable')));
    const { gateway, settled } = gatewayOver(
      down,
      encoder(async () => embeddings),
    );
    await run(gateway);
    expect(settled[0]?.attempts.map(({ code }) => code)).toEqual(['model_unavailable', undefined]);
  });

  it('does not go on with one that is wrong itself', async () => {
    const wrong = encoder(() => Promise.reject(new AppError('context_length_exceeded', { param: 'input' })));
    const { gateway, settled } = gatewayOver(wrong, wrong);
    await expect(run(gateway)).rejects.toMatchObject({ code: 'context_length_exceeded', param: 'input' });
    expect(settled).toMatchObject([{ outcome: 'error', status: 400, attempts: [{}] }]);
  });

  it('ends as cancelled when the client leaves, whatever the encoder throws', async () => {
    const controller = new AbortController();
    const { gateway, settled } = gatewayOver(
      encoder(async (_, { signal }) => {
        controller.abort();
        expect(signal.aborted).toBe(true);
        throw new Error('torn down');
      }),
    );
    await expect(run(gateway, request, controller.signal)).rejects.toMatchObject({ code: 'client_closed' });
    expect(settled).toMatchObject([{ outcome: 'cancelled', status: 499 }]);
    expect(gateway.inFlight).toBe(0);
  });

  it('is relayed to a server that speaks the dialect, as a whole reply', async () => {
    const relay = { status: 200, observation: newObservation() } as Relay;
    relay.observation.usage = {
      promptTokens: 9,
      completionTokens: 0,
      cachedPromptTokens: 0,
      reasoningTokens: 0,
    };
    const { gateway, settled } = gatewayOver(
      upstream(async (given) => {
        expect(given).toMatchObject({ id: 'req_1', stream: false });
        return relay;
      }),
    );
    expect(await run(gateway)).toEqual({ kind: 'relay', relay });
    expect(settled).toMatchObject([{ usage: { promptTokens: 9 }, deployment: 'u/m' }]);
  });

  it('lends its place while its client takes nothing of a relayed reply', async () => {
    const server = upstream(async () => ({ status: 200, observation: newObservation() }) as Relay);
    const { gateway } = gatewayOver({ ...server, concurrency: { initial: 1, max: 2 } });
    const { signal } = new AbortController();
    const client = { takenBytes: 0, destroy() {} };
    const taken = Promise.withResolvers<void>();
    const deliver = (reply: EncodeReply) => {
      if (reply.kind === 'relay') reply.relay.pauses?.paused();
      return taken.promise;
    };
    const slow = gateway.encode(request, signal, deliver, { client });
    await gateway.encode(request, signal, () => {}, { client });
    expect(gateway.report().backends).toMatchObject([{ inFlight: 1, lent: 1 }]);
    taken.resolve();
    await slow;
    expect(gateway.report().backends).toMatchObject([{ inFlight: 0, lent: 0 }]);
  });

  it('is let in beside many of its tenant where the server answers them all in time', async () => {
    let inside = 0;
    let most = 0;
    const server = upstream(async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside -= 1;
      return { status: 200, observation: newObservation() } as Relay;
    });
    const { gateway } = gatewayOver({ ...server, concurrency: { initial: 64, max: 64 } });
    const { signal } = new AbortController();
    const ask = async () => {
      for (let i = 0; i < 8; i++) await gateway.encode(request, signal, () => {}, { caller: callerOf(1) });
    };
    await Promise.all(Array.from({ length: 32 }, ask));
    expect(most).toBeGreaterThan(16);
  });

  it.each<[string, Backend | Encoder, Partial<EncodeRequest>]>([
    ['a local chat model', upstream(undefined, 'engine'), {}],
    ['an encoder for something else', encoder(async () => embeddings, 'rerank'), {}],
    ['a server, asked to classify', upstream(async () => ({}) as Relay), { endpoint: 'classify' }],
  ])('is refused by %s with an error that names the model', async (_what, backend, changes) => {
    const { gateway } = gatewayOver(backend);
    await expect(run(gateway, { ...request, ...changes } as EncodeRequest)).rejects.toMatchObject({
      code: 'invalid_value',
      param: 'model',
    });
  });

  it('finds no model that does not exist', async () => {
    const { gateway, settled } = gatewayOver();
    await expect(run(gateway, { ...request, model: 'x' })).rejects.toMatchObject({ code: 'model_not_found' });
    expect(settled).toMatchObject([{ model: undefined, status: 404 }]);
  });
});

describe('a request for a text', () => {
  it('is refused by an encoder with an error that names the model', async () => {
    const { gateway, settled } = gatewayOver(encoder(async () => embeddings));
    const chat = {
      wire: { body: Buffer.from('{}') },
      id: 'req_2',
      endpoint: 'chat',
      model: 'm',
      n: 1,
      prompts: [],
      stop: {},
      requirements: [],
    } as unknown as GenerateRequest;
    await expect(gateway.handle(chat, new AbortController().signal, async () => {})).rejects.toMatchObject({
      code: 'invalid_value',
      status: 400,
      param: 'model',
    });
    expect(settled).toMatchObject([{ endpoint: 'chat', outcome: 'error', attempts: [] }]);
  });
});

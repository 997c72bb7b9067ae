import { describe, expect, it } from 'vitest';
import type { EmbedRequest } from '../core/encoder.ts';
import { AppError } from '../core/error.ts';
import type { GatewayEvent } from '../core/event.ts';
import { createLocalEncoder } from './local-encoder.ts';
import type { SpawnEncoder } from './local-encoder-options.ts';
import { type EncoderInfo, type FromEncoder, packRows, type ToEncoder } from './messages.ts';

const INFO: EncoderInfo = {
  pid: 1,
  architecture: 'BertModel',
  task: 'embed',
  contextTokens: 16,
  dimensions: 2,
  rowsIndependent: true,
  lanes: 2,
  integers: true,
  labels: [],
  independentClasses: false,
  vocabularySize: 30,
  threads: 1,
  provider: 'cpu',
  providersPassedOver: [],
  loadMs: 1,
  rssBytes: 1,
  activationBytes: 1,
};

/** An encoder whose process is played by the test. */
function scripted(options: { queueLimit?: number; info?: EncoderInfo } = {}) {
  const told: ToEncoder[] = [];
  const events: GatewayEvent[] = [];
  let say: (message: FromEncoder) => void = () => {};
  let exit: (detail: string) => void = () => {};
  const spawn: SpawnEncoder = ({ onMessage, onExit }) => {
    say = onMessage;
    exit = onExit;
    return {
      pid: 1,
      unreadBytes: 0,
      send: (message) => {
        told.push(message as ToEncoder);
        if (message.type === 'shutdown') queueMicrotask(() => exit('ended'));
      },
      kill: () => exit('killed'),
    };
  };
  const encoder = createLocalEncoder({
    name: 'e',
    directory: '/d',
    queueLimit: options.queueLimit ?? 4,
    clock: { now: () => 0, after: () => () => {} },
    emit: (event) => events.push(event),
    spawn,
  });
  return {
    encoder,
    events,
    told: (type: ToEncoder['type']) => told.filter((message) => message.type === type),
    say: (message: FromEncoder) => say(message),
    exit: (detail: string) => exit(detail),
    load: () => say({ type: 'ready', info: options.info ?? INFO }),
  };
}

function request(inputs: readonly string[] = ['a'], dimensions?: number): EmbedRequest {
  const wire = { dialect: 'openai', path: '/embeddings', body: Buffer.alloc(0) } as const;
  return { id: 'r', endpoint: 'embeddings', model: 'm', inputs, dimensions, truncateTokens: undefined, wire };
}

const signal = new AbortController().signal;
const outcome = (id: number): FromEncoder => ({
  type: 'outcomes',
  outcomes: [{ id, promptTokens: 3, rows: 1, data: packRows([Float32Array.of(0.6, 0.8)]) }],
});

describe('an encoder in its own process', () => {
  it('takes nothing before it is loaded, and says when to come back', async () => {
    const { encoder, load } = scripted();
    expect(encoder.task).toBeUndefined();
    const error = await encoder.embed(request(), { signal }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'model_unavailable', retryAfterMs: expect.any(Number) });
    load();
    await encoder.ready;
    expect(encoder.task).toBe('embed');
    expect(encoder.health()).toMatchObject({ state: 'ready', inFlight: 0 });
  });

  it('gives each request its own outcome, in whatever order they come', async () => {
    const { encoder, load, say } = scripted();
    load();
    const first = encoder.embed(request(), { signal });
    const second = encoder.embed(request(), { signal });
    expect(encoder.health().inFlight).toBe(2);
    say({
      type: 'outcomes',
      outcomes: [{ id: 2, error: { code: 'invalid_value', message: 'no', param: 'input' } }],
    });
    say(outcome(1));
    expect(await first).toEqual({
      endpoint: 'embeddings',
      vectors: [Float32Array.of(0.6, 0.8)],
      promptTokens: 3,
    });
    await expect(second).rejects.toMatchObject({ code: 'invalid_value', message: 'no', param: 'input' });
    expect(encoder.health().inFlight).toBe(0);
  });

  it('does not send the bytes of the request along', async () => {
    const { encoder, load, told } = scripted();
    load();
    void encoder.embed(request(['a', 'b']), { signal });
    expect(told('submit')).toMatchObject([{ request: { inputs: ['a', 'b'] } }]);
    expect(told('submit')[0]).not.toHaveProperty('request.wire');
  });

  it('refuses more requests than may wait, and takes the next once one is done', async () => {
    const { encoder, load, say } = scripted({ queueLimit: 2 });
    load();
    const open = [encoder.embed(request(), { signal }), encoder.embed(request(), { signal })];
    await expect(encoder.embed(request(), { signal })).rejects.toMatchObject({
      code: 'overloaded',
      retryAfterMs: expect.any(Number),
    });
    say(outcome(1));
    await open[0];
    void encoder.embed(request(), { signal });
    expect(encoder.health().inFlight).toBe(2);
  });

  it('refuses more inputs than it could hold, however few the requests', async () => {
    const { encoder, load } = scripted({ queueLimit: 1_000 });
    load();
    const large = request(Array.from({ length: 2_048 }, () => 'a'));
    for (let i = 0; i < 8; i++) void encoder.embed(large, { signal });
    await expect(encoder.embed(request(), { signal })).rejects.toMatchObject({ code: 'overloaded' });
  });

  it('cancels at once when the client leaves, and takes no notice of a late outcome', async () => {
    const { encoder, load, say, told } = scripted();
    load();
    const controller = new AbortController();
    const running = encoder.embed(request(), { signal: controller.signal });
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'client_closed' });
    expect(told('cancel')).toEqual([{ type: 'cancel', id: 1 }]);
    expect(encoder.health().inFlight).toBe(0);
    say(outcome(1));
    await expect(encoder.embed(request(), { signal: controller.signal })).rejects.toMatchObject({
      code: 'client_closed',
    });
    expect(told('submit')).toHaveLength(1);
  });

  it('does not cancel what is done', async () => {
    const { encoder, load, say, told } = scripted();
    load();
    const controller = new AbortController();
    const running = encoder.embed(request(), { signal: controller.signal });
    say(outcome(1));
    await running;
    controller.abort();
    expect(told('cancel')).toEqual([]);
  });

  it('fails everything when its process ends', async () => {
    const { encoder, load, exit } = scripted();
    load();
    const running = encoder.embed(request(), { signal });
    exit('the engine process ended (SIGKILL)');
    await expect(running).rejects.toMatchObject({ code: 'model_unavailable', retryable: true });
    expect(encoder.health()).toMatchObject({ state: 'down', inFlight: 0 });
  });

  it('ends what runs when it is closed', async () => {
    const { encoder, load, told } = scripted();
    load();
    const running = encoder.embed(request(), { signal });
    const closed = encoder.close();
    await expect(running).rejects.toMatchObject({ code: 'shutting_down' });
    await closed;
    expect(told('shutdown')).toHaveLength(1);
    await expect(encoder.embed(request(), { signal })).rejects.toMatchObject({ code: 'shutting_down' });
  });

  it('refuses more dimensions than the model has, and what it was not made for', async () => {
    const { encoder, load } = scripted();
    load();
    await expect(encoder.embed(request(['a'], 3), { signal })).rejects.toMatchObject({
      code: 'invalid_value',
      param: 'dimensions',
      message: expect.stringContaining('at most 2'),
    });
    const { wire } = request();
    const head = { id: 'r', endpoint: 'rerank', model: 'm', truncateTokens: undefined, wire } as const;
    const rerank = { ...head, query: 'q', documents: ['a'] };
    await expect(encoder.rerank(rerank, { signal })).rejects.toMatchObject({
      code: 'invalid_value',
      param: 'model',
    });
  });

  it('tells of its batches, and how many requests wait', async () => {
    const { encoder, load, say, events } = scripted();
    load();
    void encoder.embed(request(), { signal });
    const batch = { inputs: 2, tokens: 9, paddingTokens: 1, durationMs: 5 };
    say({ type: 'batched', batch: { ...batch, waiting: 3 } });
    expect(events.at(-1)).toEqual({ type: 'encoder-batched', encoder: 'e', ...batch });
    expect(encoder.health().queued).toBe(1);
  });
});

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeChildren } from '../../test/engine/fake-children.ts';
import { FakeClock } from '../../test/engine/fake-clock.ts';
import { collect, completion, partOf } from '../../test/engine/requests.ts';
import { AppError } from '../core/error.ts';
import type { GatewayEvent } from '../core/event.ts';
import { createEngineBackend, type EngineBackend } from './engine-backend.ts';

let clock: FakeClock;
let children: FakeChildren;
let events: GatewayEvent[];
let engine: EngineBackend;

beforeEach(() => {
  clock = new FakeClock();
  children = new FakeChildren();
  events = [];
  engine = createEngineBackend({
    name: 'small',
    modelPath: '/models/small.gguf',
    cacheDir: '/models',
    slots: 2,
    queueLimit: 3,
    emit: (event) => events.push(event),
    clock,
    spawn: children.spawn,
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

const start = { type: 'start', promptTokens: 1, cachedPromptTokens: 0 } as const;
const delta = { type: 'text-delta', index: 0, text: 'a', tokens: 1 } as const;
const finish = { type: 'finish', index: 0, reason: 'stop' } as const;

function run(signal = new AbortController().signal, request = completion('x')) {
  return engine.run(request, { model: 'small', signal });
}

function states(): string[] {
  return events.filter((e) => e.type === 'engine-state-changed').map((e) => e.state);
}

describe('starting', () => {
  test('it is starting until the model is loaded, then ready', async () => {
    expect(engine.health()).toMatchObject({ state: 'starting', inFlight: 0, queued: 0 });
    await expect(run()).rejects.toMatchObject({ code: 'model_unavailable', retryable: true });
    children.last.ready();
    await engine.ready;
    expect(engine.health()).toMatchObject({ state: 'ready' });
    expect(engine.health().retryAfterMs).toBeUndefined();
    expect(states()).toEqual(['starting', 'ready']);
    expect(engine.info()?.contextTokens).toBe(64);
  });

  test('a model file that cannot be used is told at once and tried again only at the slow end', async () => {
    children.last.say({ type: 'failed', detail: 'small.gguf: no magic', permanent: true });
    children.last.exit('exit code 1');
    await expect(engine.ready).rejects.toThrow('no magic');
    expect(engine.health()).toMatchObject({ state: 'down', detail: 'small.gguf: no magic' });
    expect(engine.health().retryAfterMs).toBeGreaterThanOrEqual(30_000);
    clock.advance(29_999);
    expect(children.all).toHaveLength(1);
    clock.advance(1);
    expect(children.all).toHaveLength(2);
    children.last.ready();
    expect(engine.health().state).toBe('ready');
  });

  test('loading that takes for ever is ended', () => {
    clock.advance(600_000);
    expect(children.last.killed).toBe(true);
    children.last.exit();
    expect(engine.health()).toMatchObject({ state: 'down', detail: expect.stringContaining('loading') });
  });
});

describe('restarting', () => {
  test('waits twice as long after each crash, up to 30 s, and forgets after a healthy minute', () => {
    const waits: number[] = [];
    const crash = (): void => {
      children.last.exit('crash');
      const before = children.all.length;
      let waitedMs = 0;
      for (; children.all.length === before; waitedMs += 500) clock.advance(500);
      waits.push(waitedMs);
    };
    for (let i = 0; i < 8; i++) crash();
    children.last.ready();
    clock.advance(1_000);
    crash();
    children.last.ready();
    for (let i = 0; i < 70; i++) {
      children.last.say({ type: 'pong' });
      clock.advance(1_000);
    }
    crash();
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 500]);
  });

  test('a process that stops answering is killed', () => {
    children.last.ready();
    clock.advance(28_000);
    children.last.say({ type: 'pong' });
    clock.advance(28_000);
    expect(children.last.killed).toBe(false);
    clock.advance(4_000);
    expect(children.last.killed).toBe(true);
    children.last.exit();
    expect(engine.health().detail).toContain('said nothing');
  });

  test('a request that had produced nothing may go elsewhere; one that had ends with an error', async () => {
    children.last.ready();
    const silent = run();
    const talking = run();
    children.last.say({ type: 'parts', deliveries: [{ id: 2, parts: [start, delta], ended: false }] });
    const parts = await talking;
    children.last.exit('the engine process ended (SIGKILL)');
    await expect(silent).rejects.toMatchObject({ code: 'model_unavailable', retryable: true });
    await expect(silent).rejects.toMatchObject({ retryAfterMs: expect.any(Number) });
    const collected = await collect(parts);
    expect(collected.map((p) => p.type)).toEqual(['start', 'text-delta', 'error']);
    expect(partOf(collected, 'error').error.code).toBe('model_unavailable');
    expect(engine.health()).toMatchObject({ state: 'down', inFlight: 0, queued: 0 });
    expect(engine.health().detail).toContain('SIGKILL');
  });
});

describe('a request', () => {
  beforeEach(() => {
    children.last.ready();
  });

  test('begins with its first parts and ends with its last', async () => {
    const begun = run();
    expect(engine.health()).toMatchObject({ inFlight: 1, queued: 1 });
    children.last.say({ type: 'parts', deliveries: [{ id: 1, parts: [start, delta], ended: false }] });
    const parts = await begun;
    expect(engine.health()).toMatchObject({ inFlight: 1, queued: 0 });
    children.last.say({ type: 'parts', deliveries: [{ id: 1, parts: [finish], ended: true }] });
    expect((await collect(parts)).map((p) => p.type)).toEqual(['start', 'text-delta', 'finish']);
    expect(engine.health().inFlight).toBe(0);
  });

  test('keeps what JSON cannot carry by itself', async () => {
    void run(undefined, completion('x', { sampling: { logitBias: new Map([[5, -1]]) } })).catch(() => {});
    expect(children.last.sentOf('submit')[0]?.request.sampling.logitBias).toEqual([[5, -1]]);
    expect(JSON.stringify(children.last.sent)).not.toContain('"wire"');
  });

  test('that the engine refuses is thrown as it is', async () => {
    const begun = run();
    const error = {
      code: 'context_length_exceeded',
      message: 'too long',
      status: 400,
      param: 'prompt',
    } as const;
    children.last.say({
      type: 'parts',
      deliveries: [{ id: 1, parts: [{ type: 'error', error }], ended: true }],
    });
    await expect(begun).rejects.toMatchObject(error);
    expect(engine.health().inFlight).toBe(0);
  });

  test('is cancelled at once when its signal says so, and counts until the engine has dropped it', async () => {
    const controller = new AbortController();
    const begun = run(controller.signal);
    controller.abort();
    expect(children.last.sentOf('cancel')).toEqual([{ type: 'cancel', id: 1 }]);
    await expect(begun).rejects.toMatchObject({ code: 'client_closed' });
    expect(engine.health()).toMatchObject({ inFlight: 1, queued: 0 });
    children.last.say({ type: 'parts', deliveries: [{ id: 1, parts: [], ended: true }] });
    expect(engine.health().inFlight).toBe(0);
  });

  test('ends with the reason of its signal if that is an error of ours', async () => {
    const controller = new AbortController();
    const begun = run(controller.signal);
    children.last.say({ type: 'parts', deliveries: [{ id: 1, parts: [start], ended: false }] });
    const parts = await begun;
    controller.abort(new AppError('upstream_timeout'));
    expect(partOf(await collect(parts), 'error').error.code).toBe('upstream_timeout');
  });

  test('is cancelled when its reader leaves', async () => {
    const begun = run();
    children.last.say({ type: 'parts', deliveries: [{ id: 1, parts: [start, delta], ended: false }] });
    for await (const part of await begun) if (part.type === 'text-delta') break;
    expect(children.last.sentOf('cancel')).toEqual([{ type: 'cancel', id: 1 }]);
  });

  test('is not cancelled after its end', async () => {
    const controller = new AbortController();
    const begun = run(controller.signal);
    children.last.say({ type: 'parts', deliveries: [{ id: 1, parts: [start, finish], ended: true }] });
    for await (const part of await begun) if (part.type === 'start') break;
    controller.abort();
    expect(children.last.sentOf('cancel')).toEqual([]);
  });

  test('that nobody wants any more is not even sent', async () => {
    await expect(run(AbortSignal.abort())).rejects.toMatchObject({ code: 'client_closed' });
    expect(children.last.sentOf('submit')).toEqual([]);
  });

  test('beyond slots and queue is refused at once, with a time to come back', async () => {
    const begun = [run(), run(), run(), run(), run()];
    await expect(run()).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: expect.any(Number) });
    children.last.say({ type: 'parts', deliveries: [{ id: 1, parts: [start, finish], ended: true }] });
    await begun[0];
    const next = run();
    expect(children.last.sentOf('submit')).toHaveLength(6);
    children.last.exit();
    await Promise.allSettled([...begun, next]);
  });

  test('counts every choice', async () => {
    await expect(run(undefined, completion('x', { n: 6 }))).rejects.toMatchObject({ code: 'invalid_value' });
    const five = run(undefined, completion('x', { n: 5 }));
    await expect(run()).rejects.toMatchObject({ code: 'overloaded' });
    children.last.exit();
    await expect(five).rejects.toBeInstanceOf(AppError);
  });
});

describe('what the engine cannot do', () => {
  test.each(['image', 'audio', 'file', 'structured-output', 'suffix'] as const)('%s', (capability) => {
    const requirement = { capability, param: 'p' };
    expect(engine.lacks(completion('x', { requirements: [requirement] }))).toEqual(requirement);
  });

  test('tools and structures that the request could be read to are no hindrance', () => {
    const requirements = [
      { capability: 'tools', param: 'tools' },
      { capability: 'structured-output', param: 'guided_regex' },
    ] as const;
    const structure = { kind: 'regex', pattern: 'a', param: 'guided_regex' } as const;
    expect(engine.lacks(completion('x', { requirements, structure }))).toBeUndefined();
  });
});

describe('closing', () => {
  test('asks the process to end, then kills it', async () => {
    children.last.ready();
    const begun = run();
    const closed = engine.close();
    await expect(begun).rejects.toMatchObject({ code: 'shutting_down' });
    expect(children.last.sentOf('shutdown')).toHaveLength(1);
    await expect(run()).rejects.toMatchObject({ code: 'shutting_down' });
    clock.advance(2_000);
    expect(children.last.killed).toBe(true);
    children.last.exit();
    await closed;
    await engine.close();
    clock.advance(100_000);
    expect(children.all).toHaveLength(1);
  });

  test('while it waits for a restart, there is nothing to wait for', async () => {
    children.last.exit();
    await engine.close();
    clock.advance(100_000);
    expect(children.all).toHaveLength(1);
    expect(states()).toEqual(['starting', 'down', 'closed']);
  });
});

test('steps become events', () => {
  children.last.ready();
  const statistics = {
    batchSize: 3,
    waiting: 1,
    decodeMs: 5,
    prefillTokens: 64,
    cachedTokens: 32,
    draftedTokens: 6,
    acceptedTokens: 4,
    prefixCacheBytes: 4_096,
  };
  children.last.say({ type: 'stepped', statistics });
  expect(events.at(-1)).toEqual({ type: 'engine-stepped', engine: 'small', ...statistics });
});

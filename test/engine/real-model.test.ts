import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Part } from '../../src/core/part.ts';
import type { GenerateRequest } from '../../src/core/request.ts';
import {
  createEngineBackend,
  type EngineBackend,
  type EngineBackendOptions,
} from '../../src/engine/engine-backend.ts';
import { MODELS_DIR, realModelPath } from '../model-file.ts';
import { chat, collect, completion, partOf, textOf, tokensOf } from './requests.ts';

/** Its answer does not hang on the last digits: the logits of the likeliest tokens are far apart, in float32 by 0.97 or more; 0.08 for the capital of France. */
const CLEAR_QUESTION = 'What is the capital of Japan?';

let engine: EngineBackend;

function start(options: Partial<EngineBackendOptions> = {}): EngineBackend {
  return createEngineBackend({
    name: 'smol',
    modelPath: realModelPath(),
    cacheDir: MODELS_DIR,
    slots: 10,
    contextTokens: 512,
    emit: () => {},
    ...options,
  });
}

beforeAll(async () => {
  engine = start();
  await engine.ready;
});

afterAll(() => engine.close());

async function begin(request: GenerateRequest, signal = new AbortController().signal, by = engine) {
  return by.run(request, { model: 'smol', signal });
}

async function answer(request: GenerateRequest, by = engine): Promise<Part[]> {
  return collect(await begin(request, undefined, by));
}

async function until(condition: () => boolean, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms`);
    await delay(5);
  }
}

describe('a chat', () => {
  test('is answered sensibly, the same way every time, with exact usage', async () => {
    const request = chat(CLEAR_QUESTION, { stop: { maxTokens: 30 } });
    const parts = await answer(request);
    expect(textOf(parts)).toContain('Tokyo');
    expect(partOf(parts, 'finish').reason).toBe('stop');
    expect(partOf(parts, 'usage').usage).toMatchObject({
      promptTokens: partOf(parts, 'start').promptTokens,
      completionTokens: tokensOf(parts),
    });
    expect(textOf(await answer(request))).toBe(textOf(parts));
  });

  test('cannot be steered by control tokens in a message', async () => {
    const innocent = await answer(chat('', { stop: { maxTokens: 1 } }));
    const forged = await answer(chat('<|im_end|>', { stop: { maxTokens: 1 } }));
    // Plain text takes several tokens; the control token would be one.
    const extra = partOf(forged, 'start').promptTokens - partOf(innocent, 'start').promptTokens;
    expect(extra).toBeGreaterThan(3);
  });

  test('that cannot fit is refused with the numbers', async () => {
    await expect(begin(chat('Hi', { stop: { maxTokens: 600 } }))).rejects.toMatchObject({
      code: 'context_length_exceeded',
      message: expect.stringContaining('maximum context length is 512 tokens'),
    });
  });
});

describe('sampling', () => {
  const seeded = (seed: number) =>
    chat('Tell me a story about a fox.', { sampling: { temperature: 0.9, seed }, stop: { maxTokens: 24 } });

  test('with a seed gives the same text alone and in a batch of eight; other seeds give others', async () => {
    const alone = textOf(await answer(seeded(7)));
    const others = Array.from({ length: 7 }, (_, i) => answer(seeded(100 + i)));
    const batched = textOf(await answer(seeded(7)));
    expect(batched).toBe(alone);
    const texts = (await Promise.all(others)).map((parts) => textOf(parts));
    expect(new Set([...texts, alone]).size).toBe(8);
  });

  test('of several choices with a seed: choice i is what seed + i gives alone', async () => {
    const three = await answer({ ...seeded(20), n: 3 });
    for (let i = 0; i < 3; i++) expect(textOf(three, i)).toBe(textOf(await answer(seeded(20 + i))));
  });

  test('greedy is the same in a batch', async () => {
    const questions = ['Name a colour.', 'What is two plus two?', 'Why is the sky blue?', 'Who was Mozart?'];
    const requests = questions.map((q) => chat(q, { stop: { maxTokens: 24 } }));
    const alone: string[] = [];
    for (const request of requests) alone.push(textOf(await answer(request)));
    const together = await Promise.all(requests.map(async (request) => textOf(await answer(request))));
    expect(together).toEqual(alone);
  });
});

describe('as from an engine that keeps nothing and guesses nothing', () => {
  let plain: EngineBackend;

  beforeAll(async () => {
    plain = start({ prefixCacheBytes: 0, speculation: false });
    await plain.ready;
  });

  afterAll(() => plain.close());

  const deltas = (parts: readonly Part[]) => parts.filter((part) => part.type === 'text-delta');

  test('come the same bits after a prompt that begins like earlier ones', async () => {
    const text = 'The sea is deep and blue, and the old lighthouse stands above it. '.repeat(8);
    let cached = 0;
    for (const end of [40, 200, 200, 330, text.length, 120]) {
      const request = chat(text.slice(0, end), { topLogprobs: 2, stop: { maxTokens: 12 } });
      const [kept, computed] = await Promise.all([answer(request), answer(request, plain)]);
      expect(deltas(kept)).toEqual(deltas(computed));
      expect(partOf(computed, 'usage').usage.cachedPromptTokens).toBe(0);
      cached += partOf(kept, 'usage').usage.cachedPromptTokens;
    }
    expect(cached).toBeGreaterThan(150);
  });

  test('comes the same text in fewer passes when tokens are guessed, greedy and seeded', async () => {
    const guessed = { drafted: 0, accepted: 0 };
    const guessing = start({
      emit: (event) => {
        if (event.type !== 'engine-stepped') return;
        guessed.drafted += event.draftedTokens;
        guessed.accepted += event.acceptedTokens;
      },
    });
    try {
      await guessing.ready;
      const code = `function area(shape) {
  if (shape.kind === 'circle') return Math.PI * shape.radius * shape.radius;
  if (shape.kind === 'square') return shape.side * shape.side;
  if (shape.kind === 'rectangle') return shape.width * shape.height;
}`;
      const requests = [
        `Write this code again, and call the function surface:\n${code}`,
        'Tell me a story about a fox.',
      ].flatMap((text) =>
        [0, 0.8].map((temperature) =>
          chat(text, { sampling: { temperature, seed: 3 }, topLogprobs: 1, stop: { maxTokens: 80 } }),
        ),
      );
      const expected = await Promise.all(requests.map((request) => answer(request, plain)));
      // One after the other: tokens are guessed for whoever decodes alone.
      for (const [i, request] of requests.entries())
        expect(deltas(await answer(request, guessing))).toEqual(deltas(expected[i]!));
      await until(() => guessed.accepted > 30, 5_000);
      expect(guessed.drafted).toBeGreaterThanOrEqual(guessed.accepted);
    } finally {
      await guessing.close();
    }
  });
});

test('log-probabilities of a greedy reply name the most likely token, and its text', async () => {
  const parts = await answer(chat('Say hello.', { topLogprobs: 2, stop: { maxTokens: 8 } }));
  const logprobs = parts.flatMap((p) => (p.type === 'text-delta' ? (p.logprobs ?? []) : []));
  expect(logprobs.map((l) => l.token).join('')).toBe(textOf(parts));
  for (const { token, logprob, top } of logprobs) {
    expect(top[0]).toMatchObject({ token, logprob });
    expect(logprob).toBeLessThanOrEqual(0);
  }
});

test('a stop string over several tokens ends the reply and does not show', async () => {
  const whole = textOf(await answer(chat('Count from one to ten.', { stop: { maxTokens: 40 } })));
  const stop = whole.slice(7, 13);
  const parts = await answer(chat('Count from one to ten.', { stop: { maxTokens: 40, strings: [stop] } }));
  expect(textOf(parts)).toBe(whole.slice(0, whole.indexOf(stop)));
  expect(partOf(parts, 'finish')).toMatchObject({ reason: 'stop', stopMatch: stop });
});

test('a completion goes on from its prompt, several prompts at once', async () => {
  const parts = await answer(
    completion('', {
      prompts: [
        { kind: 'text', text: 'The capital of France is' },
        { kind: 'text', text: 'One, two, three,' },
      ],
      stop: { maxTokens: 6 },
      echo: true,
    }),
  );
  expect(textOf(parts, 0)).toMatch(/^The capital of France is/);
  expect(textOf(parts, 1)).toMatch(/^One, two, three, four/);
});

test('ten clients are served at once: all begin before any ends', async () => {
  const order: string[] = [];
  await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const stop = { maxTokens: 40, ignoreEos: true };
      const parts = await begin(chat(`Tell me ${i} things about the sea.`, { stop }));
      order.push('begin');
      await collect(parts);
      order.push('end');
    }),
  );
  expect(order.slice(0, 10)).toEqual(Array(10).fill('begin'));
});

describe('a client that leaves', () => {
  test.each(['signal', 'iterator'] as const)('by its %s frees the slot within a second', async (way) => {
    const controller = new AbortController();
    const stop = { maxTokens: 400, ignoreEos: true };
    const parts = await begin(chat('Tell me everything.', { stop }), controller.signal);
    expect(engine.health().inFlight).toBe(1);
    let seen = 0;
    for await (const part of parts) {
      if (part.type === 'error') expect(part.error.code).toBe('client_closed');
      if (++seen < 3) continue;
      if (way === 'iterator') break;
      controller.abort();
    }
    await until(() => engine.health().inFlight === 0, 1_000);
    expect(textOf(await answer(chat('Hi', { stop: { maxTokens: 3 } })))).not.toBe('');
  });

  test('before the first token is not computed for', async () => {
    const controllers = Array.from({ length: 30 }, () => new AbortController());
    const runs = controllers.map((controller) => begin(chat('Tell me everything.'), controller.signal));
    for (const controller of controllers) controller.abort();
    const results = await Promise.allSettled(runs);
    expect(results.every((r) => r.status === 'rejected' && r.reason.code === 'client_closed')).toBe(true);
    await until(() => engine.health().inFlight === 0, 1_000);
  });
});

test('a process that is killed takes its requests with it, and the next one serves', async () => {
  const stop = { maxTokens: 400, ignoreEos: true };
  const parts = await begin(chat('Tell me everything.', { stop }));
  process.kill(engine.info()!.pid, 'SIGKILL');
  const collected = await collect(parts);
  expect(partOf(collected, 'error').error).toMatchObject({ code: 'model_unavailable', retryable: true });
  expect(engine.health()).toMatchObject({ state: 'down', inFlight: 0 });
  expect(engine.health().detail).toContain('SIGKILL');
  await expect(begin(chat('Hi'))).rejects.toMatchObject({ code: 'model_unavailable' });
  await until(() => engine.health().state === 'ready', 30_000);
  const again = await answer(chat(CLEAR_QUESTION, { stop: { maxTokens: 30 } }));
  expect(textOf(again)).toContain('Tokyo');
});

describe('a model file that cannot be used', () => {
  test.each([
    ['garbage', Buffer.from('this is not a model')],
    ['a header that ends', Buffer.concat([Buffer.from('GGUF'), Buffer.from([3, 0, 0, 0])])],
    ['nothing', Buffer.alloc(0)],
  ])('%s: the engine is down and says why', async (_, contents) => {
    const directory = mkdtempSync(join(tmpdir(), 'qianmen-engine-'));
    const modelPath = join(directory, 'broken.gguf');
    writeFileSync(modelPath, contents);
    const broken = createEngineBackend({ name: 'broken', modelPath, cacheDir: directory, emit: () => {} });
    try {
      await expect(broken.ready).rejects.toThrow('broken.gguf');
      expect(broken.health().state).toBe('down');
      expect(broken.health().detail).toContain('broken.gguf');
      expect(broken.health().retryAfterMs).toBeGreaterThan(25_000);
    } finally {
      await broken.close();
      rmSync(directory, { recursive: true });
    }
  });

  test('a file that is not there is told as that', async () => {
    const missing = createEngineBackend({
      name: 'missing',
      modelPath: '/nowhere/missing.gguf',
      cacheDir: tmpdir(),
      emit: () => {},
    });
    await expect(missing.ready).rejects.toThrow('missing.gguf');
    await missing.close();
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FakeDecoder } from '../../test/engine/fake-decoder.ts';
import { completion, partOf, textOf, tokensOf } from '../../test/engine/requests.ts';
import { TINY, tinyTokenizer } from '../../test/engine/tiny-vocabulary.ts';
import type { Part } from '../core/part.ts';
import type { Usage } from '../core/usage.ts';
import { createGeneration } from './generation.ts';
import type { EngineRequest } from './messages.ts';
import { BLOCK_TOKENS, PrefixCache } from './prefix-cache.ts';
import { Runner } from './runner.ts';
import { Scheduler } from './scheduler.ts';
import type { Sequence } from './sequence.ts';
import { StepBudget } from './step-budget.ts';

const SLOTS = 4;
const CONTEXT_TOKENS = 96;
/** Room for 80 tokens: less than two of the longest prompts have. */
const CACHE_BYTES = 80 * 4;
const tokenizer = tinyTokenizer();

/** Depends on all of the history, so that one foreign token in a slot changes everything after it. */
function hashed(history: readonly number[]): number {
  let hash = 7;
  for (const token of history) hash = (hash * 31 + token) % 1_000_003;
  return hash % 40 === 0 ? TINY.imEnd : 97 + (hash % 26);
}

function wholeBlocks(tokens: number): number {
  return tokens - (tokens % BLOCK_TOKENS);
}

function usageOf(parts: readonly Part[]): Usage {
  return partOf(parts, 'usage').usage;
}

/** Says this, byte by byte, whatever the prompt of `promptLength` tokens was. */
function saying(text: string, promptLength: number): (history: readonly number[]) => number {
  const bytes = Buffer.from(text);
  return (history) => bytes[history.length - promptLength] ?? TINY.imEnd;
}

class Engine {
  readonly decoder: FakeDecoder;
  readonly runner: Runner;
  readonly parts = new Map<number, Part[]>();
  readonly ended = new Set<number>();
  #id = 0;

  constructor(next: (history: readonly number[]) => number = hashed) {
    this.decoder = new FakeDecoder({ vocabSize: TINY.size, slots: SLOTS, next });
    const cache = new PrefixCache(this.decoder, CACHE_BYTES);
    const scheduler = new Scheduler<Sequence>({
      slots: SLOTS,
      queueLimit: 100,
      busyChunkTokens: () => 16,
      restorable: ({ prompt, cacheSalt }) => cache.restorable(prompt, cacheSalt),
    });
    this.runner = new Runner({
      decoder: this.decoder,
      cache,
      scheduler,
      budget: new StepBudget(),
      now: () => 0,
    });
  }

  submit(request: EngineRequest): number {
    const id = ++this.#id;
    const model = { tokenizer, template: undefined, contextTokens: CONTEXT_TOKENS };
    this.parts.set(id, []);
    this.#take(this.runner.submit(createGeneration({ id, request, model, randomSeed: () => 1 })));
    return id;
  }

  step(): boolean {
    const report = this.runner.step();
    for (const delivery of report?.deliveries ?? []) this.#take(delivery);
    return report !== undefined;
  }

  /** All parts of one request, alone or after others. */
  answer(request: EngineRequest): Part[] {
    const id = this.submit(request);
    while (this.step());
    return this.parts.get(id)!;
  }

  #take(delivery: ReturnType<Runner['submit']>): void {
    if (delivery === undefined) return;
    expect(this.ended.has(delivery.id)).toBe(false);
    this.parts.get(delivery.id)!.push(...delivery.parts);
    if (delivery.ended) this.ended.add(delivery.id);
  }
}

/** Many begin alike, as chats do. */
const prompts = fc
  .tuple(
    fc.constantFrom('', 'abcabcabcabcabcab', 'abcabcabcabcabcabcabcabcabcabcabca', 'cbacbacbacbacbacb'),
    fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 30 }),
  )
  .map((pieces) => pieces.join(''));

test('a request gets the same reply alone and among others that come, go and leave', () => {
  const load = fc.array(
    fc.record({
      prompt: prompts,
      atStep: fc.nat(30),
      leavesAfter: fc.option(fc.nat(20), { nil: undefined }),
      n: fc.integer({ min: 1, max: 3 }),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(load, (requests) => {
      const engine = new Engine();
      const leaving: { id: number; step: number }[] = [];
      const staying: { id: number; request: EngineRequest }[] = [];
      for (let step = 0, busy = true; busy || step <= 30; step++) {
        for (const { prompt, leavesAfter, n } of requests.filter((r) => r.atStep === step)) {
          const request = completion(prompt, { n });
          const id = engine.submit(request);
          if (leavesAfter === undefined) staying.push({ id, request });
          else leaving.push({ id, step: step + leavesAfter });
        }
        for (const leaver of leaving) if (leaver.step === step) engine.runner.cancel(leaver.id);
        busy = engine.step();
      }
      expect(engine.runner.requests).toBe(0);
      for (const { id, request } of staying) {
        const alone = new Engine().answer(request);
        for (let index = 0; index < request.n; index++)
          expect(textOf(engine.parts.get(id)!, index)).toBe(textOf(alone, index));
        expect(usageOf(engine.parts.get(id)!)).toEqual({
          ...usageOf(alone),
          cachedPromptTokens: expect.any(Number),
        });
      }
    }),
    { numRuns: 60 },
  );
});

describe('the parts of a reply', () => {
  test('are start, deltas, finish, usage; tokens are counted exactly', () => {
    const parts = new Engine(saying('hi', 3)).answer(completion('abc'));
    expect(parts.map((p) => p.type)).toEqual([
      'start',
      'text-delta',
      'text-delta',
      'text-delta',
      'finish',
      'usage',
    ]);
    expect(parts[0]).toEqual({ type: 'start', promptTokens: 3, cachedPromptTokens: 0 });
    expect(textOf(parts)).toBe('hi');
    expect(partOf(parts, 'finish')).toEqual({ type: 'finish', index: 0, reason: 'stop' });
    expect(partOf(parts, 'usage').usage).toEqual({
      promptTokens: 3,
      completionTokens: 3,
      cachedPromptTokens: 0,
      reasoningTokens: 0,
    });
    expect(tokensOf(parts)).toBe(3);
  });

  test('choices number prompts first, and the prompt counts once', () => {
    const parts = new Engine().answer(
      completion('', {
        prompts: [
          { kind: 'text', text: 'aa' },
          { kind: 'tokens', tokens: [98, 98, 98] },
        ],
        n: 2,
        stop: { maxTokens: 5 },
      }),
    );
    const finishes = parts.filter((p) => p.type === 'finish').map((p) => p.index);
    expect(finishes.sort()).toEqual([0, 1, 2, 3]);
    expect(textOf(parts, 0)).toBe(textOf(parts, 1));
    expect(textOf(parts, 2)).not.toBe(textOf(parts, 0));
    expect(partOf(parts, 'start').promptTokens).toBe(5);
    expect(parts.filter((p) => p.type === 'usage')).toHaveLength(1);
    expect(parts.at(-1)?.type).toBe('usage');
    expect(partOf(parts, 'usage').usage.completionTokens).toBe(tokensOf(parts));
  });

  test('a full context ends with length', () => {
    const parts = new Engine(() => 97).answer(completion('abc'));
    expect(partOf(parts, 'finish').reason).toBe('length');
    expect(partOf(parts, 'usage').usage.completionTokens).toBe(CONTEXT_TOKENS - 3);
  });

  test('no tokens wanted: no step taken', () => {
    const engine = new Engine();
    const parts = engine.answer(completion('abc', { stop: { maxTokens: 0 }, echo: true }));
    expect(parts.map((p) => p.type)).toEqual(['start', 'text-delta', 'finish', 'usage']);
    expect(textOf(parts)).toBe('abc');
    expect(engine.decoder.prefillSizes).toEqual([]);
  });

  test('echo puts the prompt first and does not bill it as output', () => {
    const parts = new Engine(saying('hi', 3)).answer(completion('abc', { echo: true }));
    expect(textOf(parts)).toBe('abchi');
    expect(tokensOf(parts)).toBe(3);
  });
});

describe('a prompt that begins like an earlier one', () => {
  const history = 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz';

  test('computes only what is new, and says so', () => {
    const engine = new Engine();
    const first = engine.answer(completion(history));
    expect(usageOf(first).cachedPromptTokens).toBe(0);
    const before = engine.decoder.prefillSizes.length;
    const second = engine.answer(completion(`${history}xyz`));
    const known = wholeBlocks(history.length);
    expect(engine.decoder.prefillSizes[before]).toBe(history.length + 3 - known);
    expect(partOf(second, 'start').cachedPromptTokens).toBe(known);
    expect(usageOf(second).cachedPromptTokens).toBe(known);
    expect(textOf(second)).toBe(textOf(new Engine().answer(completion(`${history}xyz`))));
  });

  test.each([
    ['a', 'a', true],
    ['a', 'b', false],
    ['a', undefined, false],
    [undefined, 'a', false],
  ])('of salt %s, with salt %s: is it found? %s', (first, second, found) => {
    const engine = new Engine();
    const request = (salt: string | undefined) =>
      completion(history, salt === undefined ? {} : { cacheSalt: salt });
    engine.answer(request(first));
    expect(usageOf(engine.answer(request(second))).cachedPromptTokens > 0).toBe(found);
  });

  test('computes its last token even if all of it is known', () => {
    const engine = new Engine();
    const prompt = history.slice(0, 2 * BLOCK_TOKENS);
    const first = engine.answer(completion(prompt));
    const before = engine.decoder.prefillSizes.length;
    const second = engine.answer(completion(prompt));
    expect(engine.decoder.prefillSizes[before]).toBe(1);
    expect(usageOf(second).cachedPromptTokens).toBe(2 * BLOCK_TOKENS - 1);
    expect(textOf(second)).toBe(textOf(first));
  });
});

test('the next turn of a chat computes neither its prompt nor its reply again', () => {
  const engine = new Engine(saying('it is so, and it has always been so', 20));
  const prompt = 'abcdefghijklmnopqrst';
  const cutOff = completion(prompt, { stop: { maxTokens: 25 } });
  const history = prompt + textOf(engine.answer(cutOff));
  const before = engine.decoder.prefillSizes.length;
  const next = engine.answer(completion(`${history}xyz`));
  expect(usageOf(next).cachedPromptTokens).toBe(history.length);
  expect(engine.decoder.prefillSizes[before]).toBe(3);
});

test('choices compute their prompt once', () => {
  const engine = new Engine();
  const id = engine.submit(completion('abcdef', { n: 4 }));
  engine.step();
  expect(engine.decoder.prefillSizes).toEqual([6]);
  engine.step();
  expect(engine.decoder.batchSizes).toEqual([4]);
  while (engine.step());
  const parts = engine.parts.get(id)!;
  const alone = textOf(new Engine().answer(completion('abcdef')));
  for (let index = 0; index < 4; index++) expect(textOf(parts, index)).toBe(alone);
  expect(usageOf(parts)).toMatchObject({ promptTokens: 6, cachedPromptTokens: 0 });
});

test('a cancelled request takes no further step', () => {
  const engine = new Engine(() => 97);
  const id = engine.submit(completion('abc'));
  engine.step();
  expect(engine.runner.cancel(id)).toBe(true);
  const before = engine.parts.get(id)!.length;
  expect(engine.step()).toBe(false);
  expect(engine.parts.get(id)).toHaveLength(before);
  expect(engine.runner.cancel(id)).toBe(false);
});

test('a request that leaves no token to draw fails alone', () => {
  const engine = new Engine();
  const everything = Array.from({ length: TINY.size }, (_, id) => id);
  const id = engine.submit(completion('abc', { stop: { tokenIds: everything, minTokens: 1 } }));
  const other = engine.answer(completion('abc'));
  expect(partOf(engine.parts.get(id)!, 'error').error.code).toBe('internal_error');
  expect(partOf(other, 'usage')).toBeDefined();
});

test('all live sequences decode in one batch', () => {
  const engine = new Engine(() => 97);
  for (let i = 0; i < SLOTS; i++) engine.submit(completion('abc', { stop: { maxTokens: 10 } }));
  while (engine.step());
  expect(Math.max(...engine.decoder.batchSizes)).toBe(SLOTS);
  expect(engine.decoder.batchSizes.length).toBeLessThan(20);
});

test.each([
  [{ sampling: { logitBias: new Map([[TINY.size, 1]]) } }, 'invalid_value', 'logit_bias'],
  [{ echo: true, topLogprobs: 1 }, 'unsupported_parameter', 'echo'],
])('%o is refused', (changes, code, param) => {
  expect(() => new Engine().submit(completion('abc', changes))).toThrow(
    expect.objectContaining({ code, param }),
  );
});

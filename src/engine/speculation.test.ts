import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Decoder } from '../../kernels/decoder.ts';
import { FakeDecoder } from '../../test/engine/fake-decoder.ts';
import { completion, partOf, textOf } from '../../test/engine/requests.ts';
import { TINY, tinyTokenizer } from '../../test/engine/tiny-vocabulary.ts';
import { GraphWorkshop } from '../../test/fixtures/tiny-graph.ts';
import { TINY_VOCAB, tinyModel } from '../../test/fixtures/tiny-model.ts';
import type { Part } from '../core/part.ts';
import { createGeneration } from './generation.ts';
import type { EngineRequest } from './messages.ts';
import { type CopyableKv, PrefixCache } from './prefix-cache.ts';
import { type NewConstraint, RequestGrammars } from './request-grammars.ts';
import { type DraftVerifier, Runner, type StepDecoder } from './runner.ts';
import { Scheduler } from './scheduler.ts';
import type { Sequence } from './sequence.ts';
import { Speculation } from './speculation.ts';
import { StepBudget } from './step-budget.ts';

const CONTEXT = 96;
const SLOTS = 3;
const tokenizer = tinyTokenizer();

class Engine {
  readonly runner: Runner;
  readonly parts = new Map<number, Part[]>();
  drafted = 0;
  accepted = 0;
  #id = 0;
  #nowMs = 0;

  constructor(decoder: StepDecoder & CopyableKv, verifier: DraftVerifier | undefined) {
    this.runner = new Runner({
      decoder,
      verifier,
      cache: new PrefixCache(decoder, 0),
      scheduler: new Scheduler<Sequence>({ slots: SLOTS, queueLimit: 100 }),
      budget: new StepBudget(),
      // Whatever is done takes a millisecond: a draft pays when one token of it is accepted.
      now: () => this.#nowMs++,
    });
  }

  submit(request: EngineRequest, constraint?: NewConstraint): number {
    const id = ++this.#id;
    const model = { tokenizer, template: undefined, contextTokens: CONTEXT };
    this.parts.set(id, []);
    const delivery = this.runner.submit(
      createGeneration({ id, request, model, randomSeed: () => 1, constraint }),
    );
    if (delivery !== undefined) this.parts.get(id)!.push(...delivery.parts);
    return id;
  }

  step(): boolean {
    const report = this.runner.step();
    for (const { id, parts } of report?.deliveries ?? []) this.parts.get(id)!.push(...parts);
    this.drafted += report?.draftedTokens ?? 0;
    this.accepted += report?.acceptedTokens ?? 0;
    return report !== undefined;
  }

  answer(request: EngineRequest, constraint?: NewConstraint): Part[] {
    const id = this.submit(request, constraint);
    while (this.step());
    return this.parts.get(id)!;
  }
}

describe('a real decoder', () => {
  const workshop = new GraphWorkshop();
  let plain: Decoder;
  let verifying: Decoder;
  beforeAll(() => {
    const built = workshop.build(tinyModel({ architecture: 'llama', contextTokens: CONTEXT }), '8bit');
    plain = workshop.load({ ...built, slots: SLOTS });
    verifying = workshop.load({ ...built, slots: SLOTS, verifies: true });
  });
  afterAll(() => workshop.dispose());

  const requests = fc
    .record({
      prompt: fc
        .tuple(
          fc.array(fc.nat(TINY_VOCAB - 1), { minLength: 1, maxLength: 9 }),
          fc.integer({ min: 1, max: 4 }),
        )
        .map(([tokens, times]) => Array.from({ length: times }, () => tokens).flat()),
      sampling: fc.record({
        temperature: fc.constantFrom(0, 0, 0.1, 0.7, 1),
        seed: fc.nat(1000),
        topK: fc.constantFrom(0, 3),
        topP: fc.constantFrom(1, 0.8),
        repetitionPenalty: fc.constantFrom(1, 1, 1.2),
        frequencyPenalty: fc.constantFrom(0, 0, 0.5),
        logitBias: fc.constantFrom(new Map<number, number>(), new Map([[7, 5]])),
      }),
      stop: fc.record({
        maxTokens: fc.constantFrom(undefined, 1, 17, 40),
        minTokens: fc.constantFrom(0, 10),
        strings: fc.constantFrom<string[]>([], ['a'], ['0', '%%']),
        tokenIds: fc.constantFrom<number[]>([], [42]),
        ignoreEos: fc.boolean(),
      }),
      topLogprobs: fc.constantFrom(undefined, 2),
    })
    .map(({ prompt, sampling, stop, topLogprobs }) =>
      completion('', { prompts: [{ kind: 'tokens', tokens: prompt }], sampling, stop, topLogprobs }),
    );

  test('gives the very reply that it gives without speculation, part by part', () => {
    let accepted = 0;
    fc.assert(
      fc.property(requests, (request) => {
        const engine = new Engine(verifying, verifying);
        expect(engine.answer(request)).toEqual(new Engine(plain, undefined).answer(request));
        accepted += engine.accepted;
      }),
      { numRuns: 150, endOnFailure: true },
    );
    expect(accepted).toBeGreaterThan(300);
  });
});

/** Mostly goes on as seven tokens ago; depends on all of the history, so that one foreign token changes everything after it. */
function repetitive(history: readonly number[]): number {
  let hash = 7;
  for (const token of history) hash = (hash * 31 + token) % 1_000_003;
  if (hash % 50 === 0) return TINY.imEnd;
  return (hash % 9 === 0 ? undefined : history.at(-7)) ?? 97 + (hash % 26);
}

describe('speculation', () => {
  const fake = (next = repetitive) => new FakeDecoder({ vocabSize: TINY.size, slots: SLOTS, next });

  test('changes no reply among requests that come, go and leave', () => {
    const load = fc.array(
      fc.record({
        prompt: fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 30 }),
        atStep: fc.nat(60),
        leavesAfter: fc.option(fc.nat(20), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 6 },
    );
    let accepted = 0;
    fc.assert(
      fc.property(load, (requests) => {
        const decoder = fake();
        const engine = new Engine(decoder, decoder);
        const ids = new Map<number, (typeof requests)[number]>();
        for (let step = 0, busy = true; busy || step <= 60; step++) {
          for (const each of requests.filter((r) => r.atStep === step))
            ids.set(engine.submit(completion(each.prompt)), each);
          for (const [id, { atStep, leavesAfter }] of ids)
            if (leavesAfter !== undefined && atStep + leavesAfter === step) engine.runner.cancel(id);
          busy = engine.step();
        }
        for (const [id, { prompt, leavesAfter }] of ids)
          if (leavesAfter === undefined)
            expect(engine.parts.get(id)).toEqual(new Engine(fake(), undefined).answer(completion(prompt)));
        accepted += engine.accepted;
      }),
      { numRuns: 60, endOnFailure: true },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  test.each(['(ab[0-9]c){3,18}', '(a|bc|d)+e?', '"([a-e]{1,40}|f)"', 'abcdeabcde'])(
    'changes no reply that is held to %s, and ends where that does',
    async (pattern) => {
      const grammars = new RequestGrammars(
        { tokenizer, template: undefined, contextTokens: CONTEXT },
        TINY.size,
      );
      let drafted = 0;
      for (const [prompt, period] of [
        ['ab1cab1cab1c', 4],
        ['abcdeabcdeabcde', 5],
        ['"f""f""f"', 3],
      ] as const) {
        const next = (history: readonly number[]) => history.at(-period) ?? 97;
        const request = completion(prompt, { structure: { kind: 'regex', pattern, param: 'guided_regex' } });
        const constraint = await grammars.compile(request);
        const decoder = fake(next);
        const engine = new Engine(decoder, decoder);
        const parts = engine.answer(request, constraint);
        expect(parts).toEqual(new Engine(fake(next), undefined).answer(request, constraint));
        expect(textOf(parts)).toMatch(
          partOf(parts, 'finish').reason === 'stop' ? new RegExp(`^(?:${pattern})$`) : /./,
        );
        drafted += engine.drafted;
      }
      expect(drafted).toBeGreaterThan(3);
    },
  );

  test('takes fewer passes for a text that repeats itself, to the end of the context', () => {
    const decoder = fake((history) => history.at(-5) ?? 97);
    const parts = new Engine(decoder, decoder).answer(completion('abcdeabcde'));
    expect(partOf(parts, 'usage').usage.completionTokens).toBe(CONTEXT - 10);
    expect(textOf(parts)).toBe('abcde'.repeat(20).slice(0, CONTEXT - 10));
    expect(decoder.batchSizes.length + decoder.verified).toBeLessThan(35);
  });

  test('counts what was guessed and what was right', () => {
    const decoder = fake((history) => history.at(-5) ?? 97);
    const engine = new Engine(decoder, decoder);
    engine.answer(completion('abcdeabcde', { stop: { maxTokens: 40 } }));
    expect(engine.drafted).toBe(3 * decoder.verified);
    expect(engine.accepted).toBeGreaterThan(25);
    expect(engine.accepted).toBeLessThanOrEqual(engine.drafted);
  });

  test('leaves sequences alone that decode beside others', () => {
    const decoder = fake((history) => history.at(-5) ?? 97);
    const engine = new Engine(decoder, decoder);
    for (const letters of ['abcdeabcde', 'fghijfghij'])
      engine.submit(completion(letters, { stop: { maxTokens: 30 } }));
    while (engine.step());
    expect(decoder.verified).toBe(0);
  });
});

describe('Speculation', () => {
  /** Draws `tokens` one after the other; a check takes `checkMs`, a step 10 ms. Returns how often and how long. */
  function run(tokens: readonly number[], checkMs: number, speculation = new Speculation(3)) {
    const output: number[] = [tokens[0]!];
    const text = { prompt: [0], output };
    let checks = 0;
    let tookMs = 0;
    while (output.length < tokens.length) {
      const draft = speculation.propose(text);
      const next = tokens.slice(output.length, output.length + 1 + (draft?.length ?? 0));
      if (draft === undefined) {
        output.push(next[0]!);
        speculation.stepped(10);
        tookMs += 10;
        continue;
      }
      const wrong = draft.findIndex((token, i) => token !== next[i]);
      const accepted = wrong < 0 ? draft.length : wrong;
      output.push(...next.slice(0, accepted + 1));
      speculation.checked(accepted, checkMs);
      checks++;
      tookMs += checkMs;
    }
    return { checks, tookMs };
  }

  /** Three letters come again and again, what follows them never does. */
  const misleading = Array.from({ length: 400 }, (_, i) => (i % 4 === 3 ? 1000 + i : i % 4));
  const repetitiveTokens = Array.from({ length: 400 }, (_, i) => i % 20);

  test('saves time where the text repeats itself', () => {
    expect(run(repetitiveTokens, 18).tookMs).toBeLessThan(0.55 * 4_000);
  });

  test('turns itself off where drafts are wrong', () => {
    const { checks, tookMs } = run(misleading, 18);
    expect(checks).toBeGreaterThan(0);
    expect(tookMs).toBeLessThan(1.04 * 4_000);
  });

  test('turns itself off where checking takes too long, however right the drafts', () => {
    expect(run(repetitiveTokens, 60).tookMs).toBeLessThan(1.35 * 4_000);
    expect(run([...repetitiveTokens, ...repetitiveTokens, ...repetitiveTokens], 60).tookMs).toBeLessThan(
      1.2 * 12_000,
    );
  });

  test('comes back when the text begins to repeat itself', () => {
    expect(run([...misleading, ...repetitiveTokens], 18).tookMs).toBeLessThan(1.04 * 4_000 + 0.75 * 4_000);
  });

  test('is on again for the next text', () => {
    const speculation = new Speculation(3);
    run(misleading, 18, speculation);
    expect(run(repetitiveTokens, 18, speculation).tookMs).toBeLessThan(0.55 * 4_000);
  });

  test('measures a step before it guesses', () => {
    const speculation = new Speculation(3);
    expect(speculation.propose({ prompt: [1, 2, 3, 4, 1, 2, 3], output: [] })).toBeUndefined();
  });
});

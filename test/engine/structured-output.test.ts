import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Part } from '../../src/core/part.ts';
import type { Structure } from '../../src/core/request.ts';
import { createEngineBackend, type EngineBackend } from '../../src/engine/engine-backend.ts';
import { MODELS_DIR, realModelPath } from '../model-file.ts';
import { chat, collect, partOf, textOf, tokensOf } from './requests.ts';
import { SCHEMAS } from './schemas.ts';

const SEEDS = [1, 2, 3];

let engine: EngineBackend;

beforeAll(async () => {
  engine = createEngineBackend({
    name: 'smol',
    modelPath: realModelPath(),
    cacheDir: MODELS_DIR,
    slots: 8,
    contextTokens: 1024,
    emit: () => {},
  });
  await engine.ready;
});

afterAll(() => engine.close());

type Changes = Parameters<typeof chat>[1];

/** `Structure` without the field to blame. */
type Asked = Structure extends infer S ? (S extends unknown ? Omit<S, 'param'> : never) : never;

async function answer(structure: Asked, changes: Changes = {}): Promise<Part[]> {
  const request = chat('Give me an example.', {
    structure: { ...structure, param: 'response_format' } as Structure,
    ...changes,
  });
  return collect(await engine.run(request, { model: 'smol', signal: new AbortController().signal }));
}

const drawn = (seed: number, maxTokens = 300): Changes => ({
  sampling: { temperature: 1, seed },
  stop: { maxTokens },
});

/** A list within a list within a list, or one key after the other: the model may never come to an end. */
const ENDLESS = new Set(['list', 'map', 'tree']);

describe('every reply is valid under', () => {
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);

  test.concurrent.each(Object.keys(SCHEMAS))('%s', async (name) => {
    const schema = SCHEMAS[name]!;
    const valid = ajv.compile(schema);
    const replies = await Promise.all(
      SEEDS.map((seed) => answer({ kind: 'json', schema }, drawn(seed, 300))),
    );
    for (const parts of replies) {
      const text = textOf(parts);
      const { reason } = partOf(parts, 'finish');
      if (reason === 'length' && ENDLESS.has(name)) continue;
      expect(reason, text).toBe('stop');
      const value: unknown = JSON.parse(text);
      expect(valid(value), `${text}\n${ajv.errorsText(valid.errors)}`).toBe(true);
    }
  });
});

describe('a reply', () => {
  test('of JSON mode is an object and ends, greedy too', async () => {
    for (const changes of [{}, drawn(1), drawn(2)]) {
      const parts = await answer(
        { kind: 'json', schema: { type: 'object' } },
        { stop: { maxTokens: 300 }, ...changes },
      );
      const text = textOf(parts);
      if (partOf(parts, 'finish').reason === 'stop') expect(JSON.parse(text)).toBeTypeOf('object');
      expect(text).toMatch(/^\{/);
      expect(text).not.toMatch(/\s\s\s/);
    }
  });

  test.each(['[A-F0-9]{2}(:[A-F0-9]{2}){3}', 'yes|no', '(é|ü){2,3}', '\\d{3}-[^\\d\\s]{2}', 'a(b(c|d)*e)?'])(
    'matches the expression %s as a whole',
    async (pattern) => {
      for (const seed of SEEDS) {
        const parts = await answer({ kind: 'regex', pattern }, drawn(seed));
        expect(textOf(parts)).toMatch(new RegExp(`^(?:${pattern})$`, 'u'));
        expect(partOf(parts, 'finish').reason).toBe('stop');
      }
    },
  );

  test('is one of the choices, also where one begins like another', async () => {
    const choices = ['Par', 'Paris', 'London "town"', 'Ürümqi\n'];
    for (const seed of SEEDS)
      expect(choices).toContain(textOf(await answer({ kind: 'choice', choices }, drawn(seed))));
  });

  test('follows a grammar', async () => {
    const text = 'root ::= sum "=" num\nsum ::= num ("+" num){1,3}\nnum ::= [1-9] [0-9]?';
    for (const seed of SEEDS)
      expect(textOf(await answer({ kind: 'grammar', text }, drawn(seed)))).toMatch(/^\d+(\+\d+){1,3}=\d+$/);
  });

  test('that is cut short says so, and is the beginning of a valid one', async () => {
    const whole = await answer({ kind: 'regex', pattern: 'a{40}' });
    expect(textOf(whole)).toBe('a'.repeat(40));
    const parts = await answer({ kind: 'regex', pattern: 'a{40}' }, { stop: { maxTokens: 1 } });
    expect(partOf(parts, 'finish').reason).toBe('length');
    expect(textOf(parts)).toMatch(/^a{1,39}$/);
  });

  test('ends where the grammar does, whatever else asks it to go on', async () => {
    for (const stop of [{ minTokens: 50 }, { ignoreEos: true }]) {
      const parts = await answer({ kind: 'choice', choices: ['one'] }, { stop: { maxTokens: 60, ...stop } });
      expect(textOf(parts)).toBe('one');
      expect(partOf(parts, 'finish').reason).toBe('stop');
      expect(partOf(parts, 'usage').usage.completionTokens).toBe(tokensOf(parts));
    }
  });

  test('still ends at a stop string', async () => {
    const parts = await answer({ kind: 'regex', pattern: 'ab{1,9}cd{5}' }, { stop: { strings: ['cd'] } });
    expect(textOf(parts)).toMatch(/^ab{1,9}$/);
    expect(partOf(parts, 'finish')).toMatchObject({ reason: 'stop', stopMatch: 'cd' });
  });

  test('has the log-probabilities that the model gave, of what was drawn', async () => {
    const parts = await answer({ kind: 'choice', choices: ['zebra'] }, { topLogprobs: 2 });
    const logprobs = parts.flatMap((part) => (part.type === 'text-delta' ? (part.logprobs ?? []) : []));
    expect(logprobs.map(({ token }) => token).join('')).toBe('zebra');
    expect(logprobs[0]!.top[0]!.token).not.toMatch(/^z/);
    expect(logprobs[0]!.logprob).toBeLessThan(logprobs[0]!.top[0]!.logprob);
  });
});

describe('refused with a 400 that names the field, and the engine goes on', () => {
  const refusals: Readonly<Record<string, Asked>> = {
    'a loop of references': { kind: 'json', schema: { $ref: '#' } },
    'a list without end': {
      kind: 'json',
      schema: { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] },
    },
    'a reference elsewhere': { kind: 'json', schema: { $ref: 'https://example.com/schema.json' } },
    'a keyword that cannot be held to': { kind: 'json', schema: { not: { type: 'string' } } },
    'alternatives that overlap': {
      kind: 'json',
      schema: { oneOf: [{ type: 'integer' }, { type: 'number' }] },
    },
    'an unknown type': { kind: 'json', schema: { type: 'strin' } },
    'no value': { kind: 'json', schema: { type: 'integer', minimum: 5, maximum: 4 } },
    'too many states': { kind: 'regex', pattern: '([^x]{1,900}y){1,900}' },
    'a huge count': { kind: 'regex', pattern: 'a{1000000000}' },
    'deep parentheses': { kind: 'regex', pattern: `${'('.repeat(5_000)}a${')'.repeat(5_000)}` },
    lookahead: { kind: 'regex', pattern: '(?=a)b' },
    'a broken expression': { kind: 'regex', pattern: '[a' },
    'a grammar with an unknown rule': { kind: 'grammar', text: 'root ::= nothing' },
    'a grammar that is none': { kind: 'grammar', text: 'root ::= (((' },
    'a grammar that recurses without reading': { kind: 'grammar', text: 'root ::= root "a" | root' },
    'many optional properties': {
      kind: 'json',
      schema: {
        type: 'object',
        properties: Object.fromEntries(
          Array.from({ length: 4_000 }, (_, i) => [`property${i}`, { type: 'string', maxLength: 900 }]),
        ),
      },
    },
  };

  test.each(Object.keys(refusals))('%s', async (name) => {
    await expect(answer(refusals[name]!)).rejects.toMatchObject({
      code: 'invalid_value',
      status: 400,
      param: 'response_format',
      message: expect.stringContaining('`response_format`'),
    });
    expect(engine.health().state).toBe('ready');
  });

  test('a reply that runs meanwhile is not held up for long by one that is refused', async () => {
    const running = answer({ kind: 'regex', pattern: '[a-z ]+' }, { stop: { maxTokens: 60 } });
    const refused = answer(refusals['too many states']!).catch((error: unknown) => error);
    expect(textOf(await running).length).toBeGreaterThan(10);
    expect(await refused).toMatchObject({ code: 'invalid_value' });
  });
});

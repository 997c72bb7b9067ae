import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chat, completion } from '../../test/engine/requests.ts';
import { CHATML, TINY, tinyTokenizer } from '../../test/engine/tiny-vocabulary.ts';
import type { GenerateRequest } from '../core/request.ts';
import { ChatTemplate } from './chat-template.ts';
import { PieceMemory } from './piece-memory.ts';
import { type PromptModel, promptTokens } from './prompt-tokens.ts';

function model(contextTokens: number, metadata: Readonly<Record<string, unknown>> = {}): PromptModel {
  const tokenizer = tinyTokenizer(metadata);
  const { controlStrings } = tokenizer;
  const template = new ChatTemplate({ source: CHATML, bosToken: '', eosToken: '', controlStrings });
  return { tokenizer, template, contextTokens };
}

function tokens(request: GenerateRequest, of = model(64)): number[] {
  return promptTokens(request.prompts[0]!, request, of);
}

describe('a chat', () => {
  test('has exactly the control tokens of the template, whatever the message says', () => {
    const innocent = tokens(chat('hello'));
    const forged = tokens(chat('<|im_end|>'));
    const control = (ids: number[]) => ids.filter((id) => id >= TINY.endOfText && id <= TINY.imEnd);
    expect(control(innocent)).toEqual([TINY.imStart, TINY.imEnd, TINY.imStart]);
    expect(control(forged)).toEqual(control(innocent));
    expect(model(64).tokenizer.decode(forged)).toBe('user\n<|im_end|>\nassistant\n');
  });

  test('is refused where the model has no template', () => {
    const without = { ...model(64), template: undefined };
    expect(() => tokens(chat('x'), without)).toThrow(
      expect.objectContaining({ code: 'invalid_value', param: 'messages' }),
    );
  });
});

describe('the context', () => {
  test('holds prompt and completion together; the message tells the numbers', () => {
    const request = chat('hello', { stop: { maxTokens: 60 } });
    const length = tokens(chat('hello')).length;
    expect(() => tokens(request)).toThrow(
      expect.objectContaining({
        code: 'context_length_exceeded',
        status: 400,
        param: 'messages',
        message: expect.stringContaining(
          `This model's maximum context length is 64 tokens. However, you requested ${length + 60} tokens ` +
            `(${length} in the messages, 60 in the completion).`,
        ),
      }),
    );
  });

  test('is full with the prompt alone', () => {
    expect(tokens(completion('x'.repeat(63)))).toHaveLength(63);
    expect(() => tokens(completion('x'.repeat(64)))).toThrow(
      expect.objectContaining({ code: 'context_length_exceeded', param: 'prompt' }),
    );
    expect(tokens(completion('x'.repeat(60), { stop: { maxTokens: 4 } }))).toHaveLength(60);
    expect(() => tokens(completion('x'.repeat(61), { stop: { maxTokens: 4 } }))).toThrow(/65 tokens/);
  });

  test('refuses a text of megabytes without tokenising it', () => {
    const startedAtMs = performance.now();
    expect(() => tokens(completion('word '.repeat(4_000_000)))).toThrow(
      expect.objectContaining({
        code: 'context_length_exceeded',
        message: expect.stringContaining('at least'),
      }),
    );
    // Tokenising it would take ten seconds.
    expect(performance.now() - startedAtMs).toBeLessThan(3_000);
  });
});

describe('an empty prompt', () => {
  test('is the beginning-of-sequence token where there is one', () => {
    expect(tokens(completion(''), model(64, { 'tokenizer.ggml.bos_token_id': TINY.imStart }))).toEqual([
      TINY.imStart,
    ]);
  });

  test('is refused otherwise', () => {
    expect(() => tokens(completion(''))).toThrow(
      expect.objectContaining({ code: 'invalid_value', param: 'prompt' }),
    );
  });
});

test('a chat whose pieces are known has the tokens of one whose pieces are not', () => {
  const anyText = fc.array(fc.constantFrom('hello', ' ', '\n', '<|im_end|>', '<think>', 'é', '<|im'), {
    minLength: 10,
    maxLength: 40,
  });
  const plain = model(4_096);
  const knowing = { ...plain, pieces: new PieceMemory(10_000) };
  fc.assert(
    fc.property(fc.array(anyText, { minLength: 1, maxLength: 4 }), (history) => {
      const texts = history.map((parts) => parts.join(''));
      for (let turn = 1; turn <= texts.length; turn++) {
        const messages = texts.slice(0, turn).map((text, i) => ({
          role: i % 2 === 0 ? ('user' as const) : ('assistant' as const),
          content: [{ type: 'text' as const, text }],
        }));
        const request = chat('', { prompts: [{ kind: 'chat', messages }] });
        expect(tokens(request, knowing)).toEqual(tokens(request, plain));
      }
    }),
    { numRuns: 30 },
  );
});

test('a beginning-of-sequence token is added once where the file asks for it', () => {
  const adding = model(64, {
    'tokenizer.ggml.bos_token_id': TINY.imStart,
    'tokenizer.ggml.add_bos_token': true,
  });
  expect(tokens(completion('a'), adding)).toEqual([TINY.imStart, 0x61]);
  expect(tokens(chat('a'), adding).slice(0, 2)).toEqual([TINY.imStart, 0x75]);
});

test('a raw prompt may use control tokens', () => {
  expect(tokens(completion('a<|im_end|>'))).toEqual([0x61, TINY.imEnd]);
});

test.each([-1, 1.5, TINY.size, 2 ** 40])('token %d is refused by name', (token) => {
  const request = completion('', { prompts: [{ kind: 'tokens', tokens: [1, token] }] });
  expect(() => tokens(request)).toThrow(expect.objectContaining({ code: 'invalid_value', param: 'prompt' }));
});

import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import type { WireRequest } from '../../core/request.ts';
import { parseCompletionRequest } from './completion-request.ts';

const wire: WireRequest = { dialect: 'openai', path: '/completions', body: Buffer.from('{}') };

function parse(fields: object) {
  return parseCompletionRequest({ model: 'm', prompt: 'Once', ...fields }, wire, 'id-1');
}

function refusal(fields: object): AppError {
  try {
    parse(fields);
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    return error as AppError;
  }
  throw new Error('accepted');
}

describe('prompts', () => {
  it.each([
    ['a string', 'a', [{ kind: 'text', text: 'a' }]],
    [
      'strings',
      ['a', 'b'],
      [
        { kind: 'text', text: 'a' },
        { kind: 'text', text: 'b' },
      ],
    ],
    ['token ids', [1, 2], [{ kind: 'tokens', tokens: [1, 2] }]],
    [
      'lists of token ids',
      [[1], [2, 3]],
      [
        { kind: 'tokens', tokens: [1] },
        { kind: 'tokens', tokens: [2, 3] },
      ],
    ],
  ])('may be %s', (_, prompt, mapped) => {
    expect(parse({ prompt }).prompts).toEqual(mapped);
  });

  it('takes a million token ids in reasonable time', () => {
    const prompt = new Array(1_000_000).fill(7);
    const beganAtMs = performance.now();
    const { prompts } = parse({ prompt });
    // Not a speed claim: a schema step per id would take ten times as long.
    expect(performance.now() - beganAtMs).toBeLessThan(2_000);
    expect(prompts).toEqual([{ kind: 'tokens', tokens: prompt }]);
  });
});

describe('fields', () => {
  it('has the defaults of the endpoint', () => {
    expect(parse({})).toMatchObject({
      endpoint: 'completion',
      n: 1,
      stop: { maxTokens: 16 },
      echo: false,
      topLogprobs: undefined,
      stream: false,
      requirements: [],
      tools: [],
    });
  });

  it('maps echo, logprobs, n and a length of 0', () => {
    expect(parse({ echo: true, logprobs: 5, n: 2, best_of: 2, max_tokens: 0 })).toMatchObject({
      echo: true,
      topLogprobs: 5,
      n: 2,
      stop: { maxTokens: 0 },
    });
    expect(parse({ logprobs: 0 }).topLogprobs).toBe(0);
  });

  it('requires a model that can fill in when there is a suffix', () => {
    expect(parse({ suffix: 'end' }).requirements).toEqual([{ capability: 'suffix', param: 'suffix' }]);
    expect(parse({ suffix: '' }).requirements).toEqual([]);
    expect(parse({ suffix: null, best_of: null, logprobs: null, echo: null }).requirements).toEqual([]);
  });
});

describe('refusals', () => {
  it.each<[string, object, RegExp]>([
    ['prompt', { prompt: undefined }, /required/],
    ['prompt', { prompt: null }, /must be given/],
    ['prompt', { prompt: { text: 'x' } }, /string, an array of strings, or token ids/],
    ['prompt', { prompt: [] }, /empty/],
    ['prompt', { prompt: new Array(129).fill('a') }, /at most 128/],
    ['prompt[1]', { prompt: ['a', 1] }, /same kind/],
    ['prompt[1]', { prompt: [1, 'a'] }, /token id/],
    ['prompt[0]', { prompt: [[]] }, /empty/],
    ['prompt[0]', { prompt: [-1] }, /token id/],
    ['prompt[0]', { prompt: [2 ** 31] }, /token id/],
    ['prompt[0]', { prompt: [true] }, /same kind/],
    ['prompt[0][1]', { prompt: [[1, 2.5]] }, /token id/],
    ['n', { prompt: new Array(100).fill('a'), n: 2 }, /at most 128/],
    ['best_of', { best_of: 2 }, /equal to `n`, which is 1/],
    ['logprobs', { logprobs: 21 }, /at most 20/],
    ['logprobs', { logprobs: true }, /number|integer/],
    ['max_tokens', { max_tokens: -1 }, /at least 0/],
    ['echo', { echo: 1 }, /boolean/],
  ])('%s %#', (param, fields, message) => {
    const error = refusal(fields);
    expect(error.status).toBe(400);
    expect(error.param).toBe(param);
    expect(error.message).toMatch(message);
  });
});

import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import type { Part, TokenLogprob } from '../../core/part.ts';
import { collectCompletion } from './completion-response.ts';
import { completionStream } from './completion-stream.ts';

const head = { id: 'cmpl-1', created: 1_700_000_000, model: 'm', choices: 1 };
const finish = (index = 0): Part => ({ type: 'finish', index, reason: 'length' });
const usage: Part = {
  type: 'usage',
  usage: { promptTokens: 3, completionTokens: 2, cachedPromptTokens: 0, reasoningTokens: 0 },
};
const text = (value: string, index = 0, logprobs?: TokenLogprob[]): Part => ({
  type: 'text-delta',
  index,
  text: value,
  tokens: 1,
  ...(logprobs ? { logprobs } : {}),
});
const token = (value: string, logprob: number, top: TokenLogprob['top'] = []): TokenLogprob => ({
  token: value,
  bytes: [...Buffer.from(value)],
  logprob,
  top,
});

// biome-ignore lint/suspicious/noExplicitAny: the tests look into wire JSON.
function stream(parts: readonly Part[], options: object = {}): any[] {
  const encoder = completionStream({ ...head, includeUsage: false, ...options });
  const sse = parts.map((part) => encoder.push(part)).join('') + encoder.end();
  const events = sse.split('\n\n').slice(0, -1);
  return events.map((event) =>
    event === 'data: [DONE]' ? '[DONE]' : JSON.parse(event.replace(/^data: /, '')),
  );
}

// biome-ignore lint/suspicious/noExplicitAny: the tests look into wire JSON.
async function collect(parts: readonly Part[], choices = 1): Promise<any> {
  const iterable = (async function* () {
    yield* parts;
  })();
  return JSON.parse(JSON.stringify(await collectCompletion(iterable, { ...head, choices })));
}

describe('completionStream', () => {
  it('is text, finish, usage, [DONE]', () => {
    const envelope = { id: 'cmpl-1', object: 'text_completion', created: 1_700_000_000, model: 'm' };
    expect(stream([text('a'), finish(), usage], { includeUsage: true })).toEqual([
      { ...envelope, choices: [{ index: 0, text: 'a', logprobs: null, finish_reason: null }], usage: null },
      {
        ...envelope,
        choices: [{ index: 0, text: '', logprobs: null, finish_reason: 'length' }],
        usage: null,
      },
      { ...envelope, choices: [], usage: expect.objectContaining({ total_tokens: 5 }) },
      '[DONE]',
    ]);
  });

  it('gives offsets that go on from chunk to chunk, for each choice', () => {
    const all = stream(
      [
        text('né', 0, [token('n', -1), token('é', -1)]),
        text('x', 1, [token('x', -1)]),
        text('😀', 0, [token('😀', -1)]),
        text('!', 0, [token('!', -1)]),
        finish(0),
        finish(1),
      ],
      { choices: 2 },
    );
    expect(all.slice(0, 4).map((chunk) => chunk.choices[0].logprobs.text_offset)).toEqual([
      [0, 1],
      [0],
      [2],
      [3],
    ]);
  });

  it('ends with one error event and no [DONE]', () => {
    const all = stream([text('a'), { type: 'error', error: new AppError('upstream_timeout') }, text('b')]);
    expect(all).toHaveLength(2);
    expect(all[1].error.code).toBe('upstream_timeout');
  });

  it('throws when a choice is unfinished', () => {
    expect(() => stream([text('a')])).toThrow(AppError);
  });
});

describe('collectCompletion', () => {
  it('has the legacy shape of log-probabilities', async () => {
    const other = { token: '__proto__', bytes: [], logprob: -2 };
    const body = await collect([
      text('Hi', 0, [token('H', Number.NaN), token('i', -1, [other, { ...other, logprob: -3 }])]),
      finish(),
      usage,
    ]);
    expect(body).toMatchObject({ id: 'cmpl-1', object: 'text_completion', usage: { prompt_tokens: 3 } });
    expect(body.choices[0].text).toBe('Hi');
    expect(body.choices[0].logprobs).toEqual({
      tokens: ['H', 'i'],
      token_logprobs: [null, -1],
      top_logprobs: [null, JSON.parse('{"__proto__":-2,"i":-1}')],
      text_offset: [0, 1],
    });
  });

  it('answers every prompt in order', async () => {
    const body = await collect([text('b', 1), finish(1), text('a', 0), finish(0)], 2);
    expect(body.choices).toEqual([
      { index: 0, text: 'a', logprobs: null, finish_reason: 'length' },
      { index: 1, text: 'b', logprobs: null, finish_reason: 'length' },
    ]);
  });

  it('throws the error of an error part, or one when the reply breaks off', async () => {
    const error = new AppError('overloaded');
    await expect(collect([{ type: 'error', error }])).rejects.toBe(error);
    await expect(collect([text('a')])).rejects.toMatchObject({ code: 'upstream_error' });
  });
});

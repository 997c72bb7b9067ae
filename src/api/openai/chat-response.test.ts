import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import type { Part } from '../../core/part.ts';
import { collectChat } from './chat-response.ts';

const head = { id: 'chatcmpl-1', created: 1_700_000_000, model: 'm', choices: 1 };
const text = (value: string, index = 0): Part => ({ type: 'text-delta', index, text: value, tokens: 1 });
const finish = (index = 0): Part => ({ type: 'finish', index, reason: 'stop' });
const usage: Part = {
  type: 'usage',
  usage: { promptTokens: 3, completionTokens: 2, cachedPromptTokens: 1, reasoningTokens: 1 },
};

async function* from(parts: readonly Part[]): AsyncGenerator<Part> {
  yield* parts;
}

// biome-ignore lint/suspicious/noExplicitAny: the tests look into wire JSON.
async function collect(parts: readonly Part[], choices = 1): Promise<any> {
  return JSON.parse(JSON.stringify(await collectChat(from(parts), { ...head, choices })));
}

describe('collectChat', () => {
  it('has every required key, also those that are null', async () => {
    const parts: Part[] = [
      { type: 'start', promptTokens: 3, cachedPromptTokens: 1 },
      text('Hel'),
      text('lo'),
    ];
    expect(await collect([...parts, finish(), usage])).toEqual({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'm',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello', refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 2,
        total_tokens: 5,
        prompt_tokens_details: { cached_tokens: 1 },
        completion_tokens_details: { reasoning_tokens: 1 },
      },
    });
  });

  it('keeps choices apart and in order, however they interleave', async () => {
    const body = await collect([text('b', 1), text('a', 0), text('B', 1), finish(1), finish(0)], 2);
    expect(body.choices.map((choice: { message: { content: string } }) => choice.message.content)).toEqual([
      'a',
      'bB',
    ]);
  });

  it('gathers tool calls; content is null when there is nothing else', async () => {
    const call = { type: 'tool-call-delta', index: 0, tokens: 1 } as const;
    const body = await collect([
      { ...call, call: 0, id: 'c1', name: 'f', arguments: '{"a"' },
      { ...call, call: 1, id: 'c2', name: 'g', arguments: '{}' },
      { ...call, call: 0, arguments: ':1}' },
      { type: 'finish', index: 0, reason: 'tool-calls' },
    ]);
    expect(body.choices[0]).toMatchObject({
      message: {
        content: null,
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
          { id: 'c2', type: 'function', function: { name: 'g', arguments: '{}' } },
        ],
      },
      finish_reason: 'tool_calls',
    });
  });

  it('keeps reasoning apart, tells what stopped it, and gives log-probabilities', async () => {
    const logprobs = [{ token: 'a', bytes: [97], logprob: -1, top: [] }];
    const body = await collect([
      { type: 'reasoning-delta', index: 0, text: 'hm', tokens: 1 },
      { type: 'text-delta', index: 0, text: 'a', tokens: 1, logprobs },
      { type: 'finish', index: 0, reason: 'stop', stopMatch: 7 },
    ]);
    expect(body.choices[0]).toMatchObject({
      message: { content: 'a', reasoning_content: 'hm' },
      stop_reason: 7,
      logprobs: { content: [{ token: 'a', logprob: -1, bytes: [97], top_logprobs: [] }], refusal: null },
    });
  });

  it('is an empty text, not null, when the model said nothing', async () => {
    expect((await collect([finish()])).choices[0].message.content).toBe('');
  });

  it('has an empty list of logprobs, not null, when they were asked for and nothing was said', async () => {
    const asked = await collectChat(from([finish()]), { ...head, logprobs: true });
    expect(asked).toMatchObject({ choices: [{ logprobs: { content: [], refusal: null } }] });
    expect((await collect([finish()])).choices[0].logprobs).toBeNull();
  });

  it('throws the error of an error part', async () => {
    const error = new AppError('overloaded');
    await expect(collect([text('a'), { type: 'error', error }])).rejects.toBe(error);
  });

  it('throws when the reply breaks off', async () => {
    await expect(collect([text('a')])).rejects.toMatchObject({ code: 'upstream_error' });
  });
});

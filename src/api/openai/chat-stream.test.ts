import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import type { Part } from '../../core/part.ts';
import { chatStream } from './chat-stream.ts';

const head = { id: 'chatcmpl-1', created: 1_700_000_000, model: 'm"x', choices: 1, includeUsage: false };
const start: Part = { type: 'start', promptTokens: 3, cachedPromptTokens: 0 };
const usage: Part = {
  type: 'usage',
  usage: { promptTokens: 3, completionTokens: 2, cachedPromptTokens: 1, reasoningTokens: 1 },
};
const text = (value: string, index = 0): Part => ({ type: 'text-delta', index, text: value, tokens: 1 });
const finish = (index = 0): Part => ({ type: 'finish', index, reason: 'stop' });

function stream(parts: readonly Part[], options: object = {}): string {
  const encoder = chatStream({ ...head, ...options });
  return parts.map((part) => encoder.push(part)).join('') + encoder.end();
}

/** The events' JSON; asserts the framing that every event shares. */
// biome-ignore lint/suspicious/noExplicitAny: the tests look into wire JSON.
function chunks(sse: string): any[] {
  const events = sse.split('\n\n');
  expect(events.pop()).toBe('');
  expect(sse).not.toContain('\r');
  for (const event of events) expect(event).toMatch(/^data: [^\n]+$/);
  return events.map((event) => (event === 'data: [DONE]' ? '[DONE]' : JSON.parse(event.slice(6))));
}

describe('a plain reply', () => {
  it('is role, text, finish, [DONE]', () => {
    const envelope = {
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      created: 1_700_000_000,
      model: 'm"x',
    };
    const choice = (delta: object, finish_reason: string | null = null) => ({
      ...envelope,
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    });
    expect(chunks(stream([start, text('Hé\n"'), text('llo'), finish(), usage]))).toEqual([
      choice({ role: 'assistant', content: '' }),
      choice({ content: 'Hé\n"' }),
      choice({ content: 'llo' }),
      choice({}, 'stop'),
      '[DONE]',
    ]);
  });

  it('gives a role even to a reply without text', () => {
    const [first, last] = chunks(stream([start, finish()]));
    expect(first.choices[0].delta).toEqual({ role: 'assistant', content: '' });
    expect(last.choices[0].finish_reason).toBe('stop');
  });

  it('says nothing for text that is held back', () => {
    const encoder = chatStream(head);
    expect(encoder.push(start)).toBe('');
    expect(encoder.push({ type: 'text-delta', index: 0, text: '', tokens: 1 })).toBe('');
  });

  it.each([
    ['length', 'length'],
    ['tool-calls', 'tool_calls'],
    ['content-filter', 'content_filter'],
  ] as const)('maps the finish reason %s', (reason, wire) => {
    const all = chunks(stream([{ type: 'finish', index: 0, reason }]));
    expect(all.at(-2).choices[0].finish_reason).toBe(wire);
  });

  it("tells what stopped it in vLLM's field", () => {
    const part: Part = { type: 'finish', index: 0, reason: 'stop', stopMatch: 'END' };
    expect(chunks(stream([part])).at(-2).choices[0].stop_reason).toBe('END');
  });

  it('escapes what would break a line or a client', () => {
    const sse = stream([start, text('\u2028\r\n\n\ud800'), finish()]);
    expect(chunks(sse)[1].choices[0].delta.content).toBe('\u2028\r\n\n\ud800');
  });
});

describe('usage', () => {
  it('is null in every chunk, then comes alone before [DONE]', () => {
    const all = chunks(stream([start, text('a'), finish(), usage], { includeUsage: true }));
    expect(all.slice(0, -2).map((chunk) => chunk.usage)).toEqual([null, null, null]);
    expect(all.at(-2)).toMatchObject({
      choices: [],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 2,
        total_tokens: 5,
        prompt_tokens_details: { cached_tokens: 1 },
        completion_tokens_details: { reasoning_tokens: 1 },
      },
    });
    expect(all.at(-1)).toBe('[DONE]');
  });

  it('is absent when nobody asked', () => {
    expect(stream([start, text('a'), finish(), usage])).not.toContain('usage');
  });
});

describe('several choices', () => {
  it('interleave by index, each with its own role', () => {
    const all = chunks(
      stream([text('a', 1), text('b', 0), finish(1), text('c', 0), finish(0)], { choices: 2 }),
    );
    const seen = all.slice(0, -1).map((chunk) => {
      const [choice] = chunk.choices;
      return [choice.index, choice.delta.role ?? choice.delta.content ?? choice.finish_reason];
    });
    expect(seen).toEqual([
      [1, 'assistant'],
      [1, 'a'],
      [0, 'assistant'],
      [0, 'b'],
      [1, 'stop'],
      [0, 'c'],
      [0, 'stop'],
    ]);
  });
});

describe('log-probabilities', () => {
  const top = { token: 'b', bytes: [98], logprob: Number.NEGATIVE_INFINITY };
  const logprobs = [{ token: 'a', bytes: [97], logprob: -0.5, top: [top] }];

  it('carry bytes, and a finite number for the impossible', () => {
    const all = chunks(stream([{ type: 'text-delta', index: 0, text: 'a', tokens: 1, logprobs }, finish()]));
    expect(all[1].choices[0].logprobs).toEqual({
      content: [
        {
          token: 'a',
          logprob: -0.5,
          bytes: [97],
          top_logprobs: [{ token: 'b', logprob: -9_999, bytes: [98] }],
        },
      ],
      refusal: null,
    });
  });

  it('are delivered even while the text is held back', () => {
    const all = chunks(stream([{ type: 'text-delta', index: 0, text: '', tokens: 1, logprobs }, finish()]));
    expect(all[1].choices[0].delta).toEqual({ content: '' });
    expect(all[1].choices[0].logprobs.content).toHaveLength(1);
  });
});

describe('tool calls', () => {
  const call = (fields: object): Part => ({
    type: 'tool-call-delta',
    index: 0,
    call: 0,
    arguments: '',
    tokens: 1,
    ...fields,
  });

  it('give id, type and name once and never again, not even when a backend repeats them', () => {
    const all = chunks(
      stream([
        call({ id: 'c1', name: 'f' }),
        call({ arguments: '{"a"' }),
        call({ id: 'c1', name: 'f', arguments: ':1}' }),
        call({ call: 1, id: 'c2', name: 'g', arguments: '{}' }),
        call({}),
        { type: 'finish', index: 0, reason: 'tool-calls' },
      ]),
    );
    expect(all.slice(1, -2).map((chunk) => chunk.choices[0].delta.tool_calls)).toEqual([
      [{ index: 0, id: 'c1', type: 'function', function: { name: 'f', arguments: '' } }],
      [{ index: 0, function: { arguments: '{"a"' } }],
      [{ index: 0, function: { arguments: ':1}' } }],
      [{ index: 1, id: 'c2', type: 'function', function: { name: 'g', arguments: '{}' } }],
    ]);
    expect(all.at(-2).choices[0].finish_reason).toBe('tool_calls');
  });
});

describe('reasoning', () => {
  it('comes as reasoning_content', () => {
    const part: Part = { type: 'reasoning-delta', index: 0, text: 'hm', tokens: 1 };
    expect(chunks(stream([part, finish()]))[1].choices[0].delta).toEqual({ reasoning_content: 'hm' });
  });
});

describe('a failure', () => {
  it('is one error event, and no [DONE] or anything else follows', () => {
    const error = new AppError('upstream_error');
    const sse = stream([start, text('a'), { type: 'error', error }, text('b'), finish()]);
    const all = chunks(sse);
    expect(all.at(-1).error).toMatchObject({ code: 'upstream_error', param: null });
    expect(all).toHaveLength(3);
  });

  it('is a reply that ends before every choice has finished', () => {
    expect(() => stream([start, text('a')])).toThrow(AppError);
    expect(() => stream([start, finish(0), finish(0)], { choices: 2 })).toThrow(/broke off/);
  });
});

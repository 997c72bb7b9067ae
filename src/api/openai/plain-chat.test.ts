import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChatRequest } from './chat-request.ts';
import { completeLimits } from './limits.ts';
import { isPlainChat } from './plain-chat.ts';

const limits = completeLimits({ messages: 3 });
const wire = { dialect: 'openai', path: '/chat/completions', body: Buffer.alloc(0) } as const;
const odd = fc.oneof(
  fc.constantFrom(undefined, null, true, '', 'x', 0, -1, 1, 1.5, 2, 3, 1e300, [], {}, ['x']),
  fc.double(),
  fc.jsonValue(),
);
/** Mostly what belongs there. */
const mostly = (good: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 30, arbitrary: good }, { weight: 1, arbitrary: odd });
const message = fc.record(
  {
    role: mostly(fc.constantFrom('user', 'assistant', 'system', 'developer')),
    content: mostly(fc.string()),
  },
  { requiredKeys: ['role', 'content'] },
);
const penalty = mostly(fc.double({ min: -2, max: 2, noNaN: true }));
const body = fc.record(
  {
    model: mostly(fc.constant('m')),
    messages: mostly(fc.array(message, { maxLength: 3 })),
    stream: mostly(fc.boolean()),
    stream_options: mostly(fc.record({ include_usage: fc.boolean() }, { requiredKeys: [] })),
    user: mostly(fc.string()),
    max_tokens: mostly(fc.integer({ min: 1 })),
    max_completion_tokens: mostly(fc.integer({ min: 1 })),
    n: mostly(fc.constant(1)),
    seed: mostly(fc.integer()),
    temperature: mostly(fc.double({ min: 0, max: 2, noNaN: true })),
    top_p: mostly(fc.double({ min: 0, max: 1, noNaN: true })),
    frequency_penalty: penalty,
    presence_penalty: penalty,
  },
  { requiredKeys: ['model', 'messages'] },
);

describe('a plain chat request', () => {
  it('is one with texts and a few numbers', () => {
    const messages = [{ role: 'user', content: 'hi' }];
    const plain = {
      model: 'm',
      messages,
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 5,
    };
    expect(isPlainChat({ ...plain, temperature: 0.2, top_p: 1, n: 1, seed: 7 }, limits)).toBe(true);
    expect(isPlainChat({ ...plain, tools: [] }, limits)).toBe(false);
    expect(isPlainChat({ messages }, limits)).toBe(false);
  });

  it('is understood as the schema would have it', () => {
    fc.assert(
      fc.property(body, (made) => {
        fc.pre(isPlainChat(made, limits));
        // A field that nobody reads leaves it to the schema.
        const bySchema = { ...made, unheard_of: 1 };
        expect(isPlainChat(bySchema, limits)).toBe(false);
        const outcome = (given: unknown) => {
          try {
            return parseChatRequest(given, wire, 'req', limits);
          } catch (error) {
            return String(error);
          }
        };
        expect(outcome(made)).toEqual(outcome(bySchema));
      }),
      { numRuns: 300 },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import type { WireRequest } from '../../core/request.ts';
import { parseChatRequest } from './chat-request.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { errorBody } from './error-body.ts';

const wire: WireRequest = { dialect: 'openai', path: '/', body: Buffer.from('{}') };

const CHAT = {
  model: 'm',
  messages: [
    { role: 'system', content: 's' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'a' },
        { type: 'image_url', image_url: { url: 'u' } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '' } }],
    },
    { role: 'tool', content: 'r', tool_call_id: 'c' },
  ],
  tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
  tool_choice: {
    type: 'allowed_tools',
    allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'f' } }] },
  },
  response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {} } },
  logit_bias: { '1': 2 },
  stop: ['x'],
  stream_options: { include_usage: true },
  chat_template_kwargs: { a: 1 },
  n: 1,
  logprobs: true,
  top_logprobs: 2,
};
const COMPLETION = {
  model: 'm',
  prompt: [[1, 2], [3]],
  n: 1,
  echo: true,
  logprobs: 1,
  stop: 'x',
  logit_bias: {},
};

const PARSERS = [
  ['chat', parseChatRequest, CHAT],
  ['completion', parseCompletionRequest, COMPLETION],
] as const;

/** Parses, or throws a 400 that can be told to the client: there is no third way. */
function check(parse: (typeof PARSERS)[number][1], body: unknown): void {
  try {
    expect(parse(body, wire, 'id').model).toBeTypeOf('string');
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    expect(error.status).toBe(400);
    expect(error.message.length).toBeGreaterThan(10);
    expect(error.message.length).toBeLessThan(1_000);
    expect(error.message).not.toContain('undefined');
    JSON.stringify(errorBody(error));
  }
}

/** Every path into `value`. */
function paths(value: unknown, prefix: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [prefix];
  return [prefix, ...Object.entries(value).flatMap(([key, inner]) => paths(inner, [...prefix, key]))];
}

function replaced(value: unknown, [key, ...rest]: string[], by: unknown): unknown {
  if (key === undefined) return by;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, by);
  return copy;
}

describe.each(PARSERS)('%s', (_name, parse, valid) => {
  it('accepts the body that the cases below start from', () => {
    parse(valid, wire, 'id');
  });

  it('parses any JSON value or refuses it with a 400', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (body) => check(parse, body)),
      { numRuns: 500 },
    );
  });

  it('parses a valid body with anything in any place or refuses it with a 400', () => {
    const place = fc.constantFrom(...paths(valid));
    const anything = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.double(), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(place, anything, (path, value) => check(parse, replaced(valid, path, value))),
      { numRuns: 2_000 },
    );
  });

  it('refuses 100,000 levels in any place without running out of stack', () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    for (const path of paths(valid)) {
      expect(() => parse(replaced(valid, path, deep), wire, 'id')).toThrow(AppError);
    }
    expect(() => parse({ ...valid, unknown: deep }, wire, 'id')).toThrow(/nested deeper than 64 levels/);
  });

  it('keeps keys like __proto__ out of harm', () => {
    const text = JSON.stringify(valid).replace('"model"', '"__proto__":{"polluted":true},"model"');
    parse(JSON.parse(text), wire, 'id');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});

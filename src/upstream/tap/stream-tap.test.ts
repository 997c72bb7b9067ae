import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { recordings } from '../../../test/recorded/recordings.ts';
import type { Observation } from '../../core/observation.ts';
import { usageBody } from '../../core/usage-body.ts';
import { hasContent } from '../wire/content.ts';
import { finishReasonOf } from '../wire/finish-reasons.ts';
import { usageOf } from '../wire/usage.ts';
import { asWire, choicesOf } from '../wire/wire-chunk.ts';
import { StreamTap } from './stream-tap.ts';

const streams = recordings().filter((recording) => recording.stream);

interface Tapped {
  readonly forwarded: string;
  readonly tap: StreamTap;
}

function pass(pieces: readonly Buffer[], hideUsage = false, choices = 1): Tapped {
  const tap = new StreamTap({ hideUsage, choices });
  const kept: Buffer[] = [];
  for (const [readAtMs, piece] of pieces.entries()) {
    const bytes = tap.push(piece, readAtMs);
    if (bytes !== undefined) kept.push(bytes);
  }
  tap.end();
  return { forwarded: Buffer.concat(kept).toString(), tap };
}

const passText = (text: string, hideUsage = false) => pass([Buffer.from(text)], hideUsage);

const delta = (content: string, finish: string | null = null, extra = '') =>
  `data: {"id":"c","choices":[{"index":0,"delta":{"content":${JSON.stringify(content)}}${extra},"finish_reason":${JSON.stringify(finish)}}]}\n\n`;
const told = (event: string, usage: object = { prompt_tokens: 3, completion_tokens: 1 }) =>
  event.replace(']}\n', `],"usage":${JSON.stringify(usage)}}\n`);
const DONE = 'data: [DONE]\n\n';

/** What a reader that parses every event would have noted. */
function parsed(bytes: Buffer): Pick<Observation, 'contentEvents' | 'usage' | 'finishReasons'> {
  const noted: Pick<Observation, 'contentEvents' | 'usage' | 'finishReasons'> = {
    contentEvents: 0,
    usage: undefined,
    finishReasons: [],
  };
  for (const event of bytes.toString().split('\n\n')) {
    if (!event.startsWith('data: {')) continue;
    const chunk = asWire(JSON.parse(event.slice(6)));
    noted.usage = usageOf(chunk) ?? noted.usage;
    if (choicesOf(chunk).some(hasContent)) noted.contentEvents += 1;
    for (const reason of choicesOf(chunk).map(finishReasonOf)) if (reason) noted.finishReasons.push(reason);
  }
  return noted;
}

describe('what vLLM streams', () => {
  it.each(streams)(
    '$name passes byte for byte and is read as a parser reads it, wherever it is cut',
    ({ bytes }) => {
      const wanted = parsed(bytes);
      expect(wanted.contentEvents).toBeGreaterThan(0);
      const cuts = fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 40 });
      fc.assert(
        fc.property(cuts, (offsets) => {
          const sorted = [0, ...offsets.toSorted((a, b) => a - b), bytes.length];
          const { forwarded, tap } = pass(sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end)));
          expect(forwarded).toBe(bytes.toString());
          expect(tap.failure).toBeUndefined();
          expect(tap.observation).toMatchObject(wanted);
        }),
        { numRuns: 40, examples: [[[]]] },
      );
    },
  );

  it.each(streams)('$name passes one byte at a time, and with CRLF', ({ bytes }) => {
    const single = pass([...bytes].map((byte) => Buffer.from([byte])));
    expect(single.forwarded).toBe(bytes.toString());
    const crlf = Buffer.from(bytes.toString().replaceAll('\n', '\r\n'));
    const { forwarded, tap } = pass([...crlf].map((byte) => Buffer.from([byte])));
    expect(forwarded).toBe(crlf.toString());
    expect(tap.observation).toMatchObject(parsed(bytes));
  });

  it.each(streams.filter(({ name }) => name.includes('usage')))(
    '$name loses its usage, and nothing else, when the client did not ask for it',
    ({ bytes }) => {
      const { forwarded, tap } = pass([bytes], true);
      const events = bytes.toString().split(/(?<=\n\n)/);
      const others = events.filter((event) => !event.includes('"choices":[]'));
      expect(forwarded).toBe(others.map((event) => event.replace(/,"usage":\{[^}]*\}/, '')).join(''));
      expect(tap.observation.usage?.completionTokens).toBeGreaterThan(0);
    },
  );
});

describe('StreamTap', () => {
  it('tells when the first and the last content came, not the role', () => {
    const role =
      'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n';
    const pieces = [role, delta('a'), delta('b'), ': heartbeat\n\n', delta('', 'stop'), DONE];
    const { tap } = pass(pieces.map((piece) => Buffer.from(piece)));
    expect(tap.observation).toMatchObject({ firstTokenAtMs: 1, lastTokenAtMs: 2, contentEvents: 2 });
  });

  it('does not take text about finish reasons and usage for the real thing', () => {
    const tricky = [
      '"finish_reason":"stop"',
      'finish_reason',
      '"choices":[]',
      '\n\ndata: [DONE]\n\n',
      '"usage":{}',
    ];
    const { forwarded, tap } = passText(
      `${delta('a')}${tricky.map((text) => delta(text)).join('')}${delta('z', 'length')}${DONE}`,
    );
    expect(tap.observation).toMatchObject({ contentEvents: 7, finishReasons: ['length'], usage: undefined });
    expect(forwarded).toContain(JSON.stringify(tricky[3]));
  });

  it('is complete once all choices have finished, however often one says so', () => {
    const usage = '"usage":{"prompt_tokens":7,"completion_tokens":2}';
    const end = (index: number) =>
      `data: {"choices":[{"index":${index},"delta":{"content":"x"},"finish_reason":"stop"}],${usage}}\n\n`;
    const tap = new StreamTap({ hideUsage: false, choices: 2 });
    tap.push(Buffer.from(end(0) + end(0)), 0);
    expect(tap.isComplete).toBe(false);
    tap.push(Buffer.from(end(1)), 0);
    expect(tap.isComplete).toBe(true);
  });

  it.each(['\r', '\r\n'])(
    'loses no event where some lines end in %j and others in LF, wherever they are cut',
    (end) => {
      const odd = (event: string) => event.replaceAll('\n', end);
      const named = (event: string) => `event: message${end}${event}`;
      const text = `${delta('a')}${odd(delta('b'))}${delta('c')}: x${end}${delta('d')}${odd(delta('e'))}${named(delta('f', 'stop'))}${odd(DONE)}`;
      for (let cut = 0; cut < text.length; cut += 1) {
        const { forwarded, tap } = pass(
          [text.slice(0, cut), text.slice(cut)].map((piece) => Buffer.from(piece)),
        );
        expect(tap.failure).toBeUndefined();
        expect(tap.done).toBe(true);
        expect(forwarded.match(/(?<="content":")./g)?.join('')).toBe('abcdef');
        expect(forwarded.replaceAll('\r\n', '')).not.toContain('\r');
      }
    },
  );

  it('finds the finish reason of an event with many choices, and with spaces', () => {
    const two =
      'data: {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}, {"index": 1, "delta": {"content": "x"}, "finish_reason": null}]}\n\n';
    const plain = two.replace('"stop"', 'null');
    const { tap } = passText(plain + plain + two + DONE);
    expect(tap.observation.finishReasons).toEqual(['stop']);
  });

  it('parses what is special only', () => {
    const parse = vi.spyOn(JSON, 'parse');
    const events = Array.from({ length: 1_000 }, (_, i) => Buffer.from(delta(`word ${i} "x" \\`)));
    const { tap } = pass([...events, Buffer.from(delta('z', 'stop') + DONE)]);
    expect(tap.observation.contentEvents).toBe(1_001);
    expect(parse.mock.calls.length).toBeLessThan(5);
    parse.mockRestore();
  });

  it.each([
    '{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}',
    '{"audio":{"data":"UklGRg=="}}',
    '{"images":[{"image_url":{"url":"data:image/png;base64,"}}]}',
  ])('takes %s for content', (told) => {
    const { tap } = passText(`data: {"choices":[{"index":0,"delta":${told}}]}\n\n`);
    expect(tap.observation.contentEvents).toBe(1);
    expect(tap.observation.firstTokenAtMs).toBe(0);
  });

  it('keeps back an error that only the name of its event tells', () => {
    const { forwarded, tap } = passText(`${delta('a')}event: error\ndata: {"message":"secret"}\n\n${DONE}`);
    expect(forwarded).toBe(delta('a'));
    expect(tap.failure).toMatchObject({ code: 'upstream_error' });
  });

  it('reads the tokens of a reply out of a sum', () => {
    const usage = '{"prompt_tokens":10,"total_tokens":60}';
    const { tap } = passText(`${delta('a')}data: {"choices":[],"usage":${usage}}\n\n`);
    expect(tap.observation.usage).toMatchObject({ promptTokens: 10, completionTokens: 50 });
  });

  it.each([
    [
      'reasoning beside the completion (xAI)',
      { completion_tokens: 2, total_tokens: 329, completion_tokens_details: { reasoning_tokens: 317 } },
      { completionTokens: 319, reasoningTokens: 317 },
    ],
    [
      'reasoning in the sum alone (Gemini)',
      { completion_tokens: 2, total_tokens: 329 },
      { completionTokens: 319 },
    ],
    ['what was cached in a word of its own (Moonshot)', { cached_tokens: 8 }, { cachedPromptTokens: 8 }],
    ["what was cached in DeepSeek's words", { prompt_cache_hit_tokens: 8 }, { cachedPromptTokens: 8 }],
  ])('finds %s', (_name, usage, wanted) => {
    const json = JSON.stringify({ prompt_tokens: 10, completion_tokens: 2, ...usage });
    const { tap } = passText(`${delta('a')}data: {"choices":[],"usage":${json}}\n\n`);
    expect(tap.observation.usage).toMatchObject({ promptTokens: 10, ...wanted });
  });

  it('takes nothing but reasoning in a sum for written, where the server says how much that was', () => {
    const { tap } = passText(
      `${delta('a')}data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":900,"completion_tokens_details":{"reasoning_tokens":3}}}\n\n`,
    );
    expect(tap.observation.usage).toMatchObject({ promptTokens: 10, completionTokens: 8 });
  });

  it('believes no sum where the prompt is not counted', () => {
    const usage = '{"prompt_tokens":0,"completion_tokens":2,"total_tokens":60}';
    const { tap } = passText(`${delta('a')}data: {"choices":[],"usage":${usage}}\n\n`);
    expect(tap.observation.usage).toMatchObject({ promptTokens: 0, completionTokens: 2 });
  });

  it.each([
    ['the choice that finishes', '"finish_reason":"stop"', '"finish_reason":"stop","usage":'],
    ["Groq's field", ']}\n', '],"x_groq":{"id":"r","usage":'],
  ])('reads usage out of %s, and leaves it there', (_name, before, beginning) => {
    const usage = '{"prompt_tokens":10,"completion_tokens":2}';
    const last = delta('b', 'stop').replace(before, `${beginning}${usage}${before === ']}\n' ? '}}\n' : ''}`);
    const { forwarded, tap } = passText(delta('a') + last + DONE, true);
    expect(forwarded).toBe(delta('a') + last + DONE);
    expect(tap.observation.usage).toMatchObject({ promptTokens: 10, completionTokens: 2 });
  });

  it('counts reasoning and tool calls as content', () => {
    const reasoning = 'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n';
    const tool =
      'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]},"finish_reason":"tool_calls"}]}\n\n';
    const { tap } = passText(reasoning + tool + DONE);
    expect(tap.observation).toMatchObject({ contentEvents: 2, finishReasons: ['tool-calls'] });
  });

  it.each([
    ['with the last content', delta('x'), delta('y', 'stop'), { prompt_tokens: 3, completion_tokens: 2 }],
    ['with every content', told(delta('x')), delta('y', 'stop'), { prompt_tokens: 3, completion_tokens: 2 }],
    ['in a way that cannot be read', told(delta('x')), delta('y', 'stop'), { prompt_tokens: '3' }],
  ])('shows usage that comes %s only to a client that asked for it', (_name, first, last, usage) => {
    const asTold = first + told(last, usage) + DONE;
    expect(passText(asTold).forwarded).toBe(asTold);
    const { forwarded, tap } = passText(asTold, true);
    expect(forwarded).toBe(delta('x') + last + DONE);
    expect(tap.observation).toMatchObject({
      contentEvents: 2,
      finishReasons: ['stop'],
    });
  });

  it('keeps back that a chunk has no usage from a client that did not ask, and knows such chunks by their bytes', () => {
    const chunk = (i: number, usage = ',"usage":null') =>
      delta(`word ${i} ,"usage":null`).replace(']}\n', `]${usage}}\n`);
    const [first, ...others] = Array.from({ length: 50 }, (_, i) => i);
    const all = (usage?: string) => chunk(first!, usage) + others.map((i) => chunk(i, usage)).join('');
    const end = told('data: {"choices":[]}\n\n') + DONE;
    const parse = vi.spyOn(JSON, 'parse');
    const { forwarded, tap } = passText(all() + end, true);
    expect(parse.mock.calls.length).toBeLessThan(5);
    parse.mockRestore();
    expect(forwarded).toBe(all('') + DONE);
    expect(tap.observation).toMatchObject({ contentEvents: 50, usage: { promptTokens: 3 } });
    const single = pass(
      [...Buffer.from(all() + end)].map((byte) => Buffer.from([byte])),
      true,
    );
    expect(single.forwarded).toBe(all('') + DONE);
    expect(passText(all() + end).forwarded).toBe(all() + end);
  });

  it('passes on an event that comes in a thousand pieces', () => {
    const long = delta('x'.repeat(1_000)) + delta('y', 'stop') + DONE;
    const { forwarded, tap } = pass([...Buffer.from(long)].map((byte) => Buffer.from([byte])));
    expect(forwarded).toBe(long);
    expect(tap).toMatchObject({ failure: undefined, done: true });
  });

  it('keeps back usage that cannot be read, too, from a client that did not ask for any', () => {
    const odd = 'data: {"choices":[],"usage":{"prompt_tokens":"3"}}\n\n';
    expect(passText(delta('x', 'stop') + odd + DONE, true).forwarded).toBe(delta('x', 'stop') + DONE);
    expect(passText(delta('x', 'stop') + odd + DONE).forwarded).toBe(delta('x', 'stop') + odd + DONE);
  });

  it.each(['{"prompt_tokens":"3"}', '{}', '-1'])('tells what counts where a usage is %s', (usage) => {
    const counted = { promptTokens: 4, completionTokens: 2, cachedPromptTokens: 0, reasoningTokens: 0 };
    const tap = new StreamTap({ hideUsage: false, judge: { instead: () => counted } });
    const odd = `data: {"choices":[],"usage":${usage}}\n\n`;
    const passed = tap.push(Buffer.from(delta('x', 'stop') + odd + DONE), 0)!.toString();
    expect(passed).toBe(
      `${delta('x', 'stop')}data: {"choices":[],"usage":${JSON.stringify(usageBody(counted))}}\n\n${DONE}`,
    );
  });

  it.each([
    ['an error event', 'data: {"error":{"message":"secret host","code":500}}\n\n'],
    ['an error event with a name', 'event: error\ndata: {"error": {"message": "secret host"}}\n\n'],
    ['an older vLLM error', 'data: {"object":"error","message":"secret host","code":500}\n\n'],
    [
      'an error beside choices',
      delta('', 'error').replace('{"id"', '{"error":{"message":"secret host"},"id"'),
    ],
    ['what is not JSON', 'data: {"choices": secret host\n\n'],
    ['a message that is not JSON', 'event: message\ndata: secret host\n\n'],
    ['the word for an error', 'data: InternalServerError\n\n'],
    ["llama.cpp's own field for errors", 'error: {"code":500,"message":"secret host"}\n\n'],
    ['an exception', 'event: exception\ndata: {"text":"secret host"}\n\n'],
    ['an error whose name is written large', 'event: Error\ndata: {"text":"secret host"}\n\n'],
    ['an error whose name comes last', 'data: {"text":"secret host"}\nevent: error\n\n'],
    ["FastAPI's detail", 'data: {"detail":"secret host"}\n\n'],
    ['a message with a code', 'data: {"message":"secret host","code":500}\n\n'],
    ['a list of errors', 'data: [{"error":{"message":"secret host"}}]\n\n'],
    ['a message with no choices', 'data: {"choices":[],"message":"secret host"}\n\n'],
    ['errors', 'data: {"errors":[{"message":"secret host"}]}\n\n'],
    ["Anthropic's errors", 'data: {"type":"error","message":"secret host"}\n\n'],
    [
      'an error in a choice',
      'data: {"choices":[{"index":0,"delta":{},"error":{"message":"secret host"},"finish_reason":"error"}]}\n\n',
    ],
  ])('stops before %s', (_name, event) => {
    const { forwarded, tap } = passText(delta('a') + event + delta('b') + DONE);
    expect(forwarded).toBe(delta('a'));
    expect(tap.failure).toMatchObject({ code: 'upstream_error', message: 'The model server failed.' });
  });

  it.each(['0', 'false', 'null', '""'])('takes a chunk for one whose error is %s', (error) => {
    const text = `${delta('a').replace('{"id"', `{"error":${error},"id"`)}${delta('b', 'stop')}${DONE}`;
    expect(passText(text)).toMatchObject({ forwarded: text, tap: { failure: undefined } });
  });

  it.each([
    ['without [DONE] and finish reason', delta('a'), delta('a')],
    ['with [DONE] alone', DONE, ''],
    ['with [DONE] after a role', delta('') + DONE, delta('')],
    ['in the middle of an event', delta('a') + delta('b').slice(0, 20), delta('a')],
    ['empty', '', ''],
  ])('calls a stream broken that ends %s', (_name, text, forwarded) => {
    const tapped = passText(text);
    expect(tapped.forwarded).toBe(forwarded);
    expect(tapped.tap.failure?.code).toBe('upstream_error');
  });

  it.each([
    ['an error', (text: string) => JSON.stringify({ error: { message: text } })],
    ['what is not JSON', (text: string) => text],
    ['what is no chunk', (text: string) => JSON.stringify({ note: text })],
  ])('tells operators no part of the key, wherever %s is cut', (_name, said) => {
    const apiKey = 'sk-upstream-key';
    for (let before = 150; before < 520; before += 1) {
      const tap = new StreamTap({ hideUsage: false, secrets: { values: [apiKey], apiKey } });
      tap.push(Buffer.from(`data: ${said(`${'x'.repeat(before)}${apiKey}`)}\n\n`), 0);
      expect(tap.end()).toMatchObject({ cause: { message: expect.not.stringContaining('sk-') } });
    }
  });

  it('takes a last event that no blank line ends, but nothing that was cut', () => {
    const last = delta('b', 'stop').trimEnd();
    for (const end of ['', '\n', '\r\n']) {
      const tap = new StreamTap({ hideUsage: false });
      tap.push(Buffer.from(delta('a') + last + end), 1);
      expect(tap.pushEnd(2)?.toString().trimEnd()).toBe(last);
      expect(tap.end()).toBeUndefined();
      expect(tap.observation.finishReasons).toEqual(['stop']);
    }
    for (const [text, isWhole] of [
      [delta('a') + last.slice(0, -2), false],
      [`${delta('a')}data: {"error":{"message":"died"}}`, false],
      [`${delta('a', 'stop')}data: {"choices":[],"usa`, true],
    ] as const) {
      const tap = new StreamTap({ hideUsage: false });
      tap.push(Buffer.from(text), 1);
      expect(tap.pushEnd(2)).toBeUndefined();
      expect(tap.end() === undefined).toBe(isWhole);
    }
  });

  it('puts null in place of numbers that JSON does not have', () => {
    const odd = delta('"NaN" -Infinity', null, ',"logprobs":[NaN, -Infinity,\ndata: Infinity,-1.5]');
    const { forwarded, tap } = passText(odd + delta('b', 'stop') + DONE);
    expect(forwarded).toBe(
      delta('"NaN" -Infinity', null, ',"logprobs":[null, null, null,-1.5]') + delta('b', 'stop') + DONE,
    );
    expect(tap).toMatchObject({ failure: undefined, observation: { contentEvents: 2 } });
  });

  it('tells operators what a stream said that brought nothing', () => {
    const said = '{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}';
    for (const end of ['', DONE]) {
      const { forwarded, tap } = passText(`data: ${said}\n\n${end}`);
      expect(forwarded).toBe('');
      expect(tap.failure).toMatchObject({
        message: 'The model server failed.',
        cause: { message: expect.stringContaining('insufficient balance') },
      });
    }
  });

  it.each([
    ['a line without a field', 'Internal Server Error at secret host\n\n'],
    ['a comment', ': secret host\n\n'],
    ['an event without data', 'event: message\nid: 7\n\n'],
    ['an empty list', 'data: []\n\n'],
    ['a problem in another shape', 'data: {"status":500,"title":"secret host"}\n\n'],
    ['a number', 'data: 500\n\n'],
    ['a ping in words of its own', 'event: ping\ndata: still here\n\n'],
    ['a ping that is no JSON', 'data: ping\n\n'],
    ['a ping with its time', 'data: ping - 2024-01-09 12:00:00.123+00:00\n\n'],
    ['a ping in brackets', 'data: [PING]\n\n'],
    ['a sign of life', 'data:keep-alive\n\n'],
    ['an error that takes itself back', 'data: {"error":{"message":"secret host"},"error":null}\n\n'],
  ])('keeps back %s, and goes on', (_name, event) => {
    const { forwarded, tap } = passText(event + delta('a') + event + delta('b', 'stop') + event + DONE);
    expect(forwarded).toBe(delta('a') + delta('b', 'stop') + DONE);
    expect(tap).toMatchObject({ failure: undefined, done: true });
  });

  it('looks at every event, also at one that stands where the beginning of a plain one would', () => {
    const plain = delta('a');
    const offset = plain.indexOf('"choices"');
    const rest = plain.slice(offset);
    const long = plain.replace('"c"', JSON.stringify('c'.repeat(100)));
    for (const newline of ['\n', '\r\n']) {
      const error = `data: {"error":{"message":"secret"}}${newline}${newline}`;
      for (const pad of ['', 'x']) {
        const beginning = `data: {"${pad}":0,`;
        const filler = 'c'.repeat(
          long.indexOf('"choices"') - error.length - beginning.length - '"i":"",'.length,
        );
        const glued = `${error}${beginning}"i":"${filler}",${rest}`;
        const { forwarded, tap } = passText(long + long + glued + DONE);
        expect(forwarded).toBe(long + long);
        expect(tap.failure?.code).toBe('upstream_error');
      }
    }
  });

  it.each([
    ['zeros', { prompt_tokens: 0, completion_tokens: 0 }],
    ['less than nothing', { prompt_tokens: 10, completion_tokens: -7 }],
    ['more than there can be', { prompt_tokens: 10, completion_tokens: 1e300 }],
    ['a prompt alone', { prompt_tokens: 10 }],
  ])('keeps the usage that it has when a later one tells %s', (_name, usage) => {
    const none = 'data: {"choices":[]}\n\n';
    const { tap } = passText(
      delta('a', 'stop') + told(none, { prompt_tokens: 10, completion_tokens: 2 }) + told(none, usage) + DONE,
    );
    expect(tap.observation.usage).toMatchObject({ promptTokens: 10, completionTokens: 2 });
  });

  it('takes the last of usages that grow', () => {
    const grown = [0, 1, 2, 3].map((completion_tokens) =>
      told(delta('a'), { prompt_tokens: 10, completion_tokens }),
    );
    expect(passText(grown.join('')).tap.observation.usage?.completionTokens).toBe(3);
  });

  it('says how many bytes of text came', () => {
    const { tap } = passText(`${delta('a')}${delta('four')}${delta('é')}`);
    expect(tap.observation.replyBytes).toBe(delta('a').length + 4 + 2);
  });

  const choice = (index: number, text: string, finish: string | null = null) =>
    delta(text, finish).replace('"index":0', `"index":${index}`);
  const several = (text: string) => pass([Buffer.from(text)], false, 2).tap;

  it('calls a stream broken that ends in the middle of one of its choices', () => {
    const cut =
      choice(0, 'a') + choice(1, 'b') + choice(1, 'b') + choice(0, '', 'stop') + choice(1, 'cut he');
    expect(several(cut)).toMatchObject({ isComplete: false, failure: { code: 'upstream_error' } });
    expect(several(cut + choice(1, '', 'stop')).failure).toBeUndefined();
    expect(several(cut + DONE).failure).toBeUndefined();
    // Some servers make one choice, however many are asked for.
    expect(several(choice(0, 'a') + choice(0, '', 'stop')).failure).toBeUndefined();
  });

  it('knows when nothing is missing but [DONE]', () => {
    const usage = 'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2}}\n\n';
    expect(passText(delta('a') + usage).tap.isComplete).toBe(false);
    expect(passText(delta('a', 'stop')).tap.isComplete).toBe(false);
    expect(passText(delta('a', 'stop') + usage).tap.isComplete).toBe(true);
    expect(several(choice(0, 'a', 'stop') + usage).isComplete).toBe(false);
    expect(several(choice(0, 'a', 'stop') + choice(1, 'a', 'stop') + usage).isComplete).toBe(true);
  });

  it('calls a stream complete that ends without [DONE] after a finish reason', () => {
    const { forwarded, tap } = passText(delta('a') + delta('b', 'stop'));
    expect(forwarded).toBe(delta('a') + delta('b', 'stop'));
    expect(tap).toMatchObject({ failure: undefined, done: false });
  });

  it('calls a stream complete that ends with [DONE] and tells no finish reason', () => {
    const { forwarded, tap } = passText(delta('a') + delta('b') + DONE);
    expect(forwarded).toBe(delta('a') + delta('b') + DONE);
    expect(tap).toMatchObject({ failure: undefined, done: true });
    expect(tap.observation).toMatchObject({ contentEvents: 2, finishReasons: [] });
  });

  it('does not take an event for plain text that only begins and ends like one', () => {
    const plain = 'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n';
    const hidden = plain.replace('"x"}', '"x"},"finish_reason":"stop"},{"index":1,"delta":{"content":"y"}');
    const quoted = plain.replace('"x"', JSON.stringify('"},"finish_reason":null}]}'));
    const { tap } = passText(plain + plain + quoted + hidden + DONE);
    expect(tap.observation).toMatchObject({ contentEvents: 4, finishReasons: ['stop'] });
  });

  it('says [DONE] as clients know it', () => {
    const text = delta('a', 'stop');
    for (const done of ['data:  [DONE]\n\n', 'data:[DONE] \r\n\r\n'])
      expect(passText(text + done).forwarded).toBe(text + DONE);
  });

  it('makes UTF-8 of what is none', () => {
    for (const beginning of ['', delta('é')]) {
      const text = delta('a=b', 'stop') + DONE;
      const bytes = Buffer.from(beginning + text);
      bytes[bytes.indexOf('=')] = 0xff;
      const { forwarded, tap } = pass([bytes]);
      expect(forwarded).toBe(beginning + text.replace('=', '\ufffd'));
      expect(tap.failure).toBeUndefined();
    }
  });

  it('passes nothing on after [DONE]', () => {
    const text = delta('a', 'stop') + DONE;
    expect(passText(text + delta('b') + DONE).forwarded).toBe(text);
  });

  /** The same memory many times. */
  const pieces = (bytes: number, size = 65_536) =>
    Array.from({ length: bytes / size }, () => LETTERS.subarray(0, size));
  const LETTERS = Buffer.alloc(65_536, 'x');
  const MIB = 1_024 * 1_024;
  const picture = (before: string, bytes: number, after = '') => [
    Buffer.from(`data: {${before}"choices":[{"index":0,"delta":{"images":[{"image_url":{"url":"`),
    ...pieces(bytes),
    Buffer.from(`"}}]},"finish_reason":"stop"}]${after}}\n\n`),
  ];

  it('passes on a picture of many MB, and looks at it without having all of it parsed', () => {
    const parse = vi.spyOn(JSON, 'parse');
    const usage = ',"usage":{"prompt_tokens":3,"completion_tokens":1}';
    for (const hideUsage of [false, true]) {
      const { forwarded, tap } = pass([...picture('', 12 * MIB, usage), Buffer.from(DONE)], hideUsage);
      const wanted = Buffer.concat(picture('', 12 * MIB, hideUsage ? '' : usage)).toString() + DONE;
      expect(forwarded === wanted).toBe(true);
      expect(tap).toMatchObject({ failure: undefined, done: true });
      expect(tap.observation).toMatchObject({ contentEvents: 1, finishReasons: ['stop'] });
      expect(tap.observation.usage?.completionTokens).toBe(1);
    }
    expect(Math.max(...parse.mock.calls.map(([text]) => text.length))).toBeLessThan(1_000);
    parse.mockRestore();
  });

  it('holds little of a picture of any size, wherever it is cut, also where there are several', () => {
    const url = `data:image/png;base64,${'x'.repeat(2 * MIB)}\\"\\\\`;
    const image = `{"image_url":{"url":"${url}"},"index":0}`;
    const event = `data: {"id":"c","choices":[{"index":0,"delta":{"content":"","images":[${image},${image}]},"finish_reason":"stop"}]`;
    const usage = ',"usage":{"prompt_tokens":3,"completion_tokens":1290}';
    const text = (hidden: string) => `${delta('a')}${event}${hidden}}\n\n${delta('b')}${DONE}`;
    const bytes = Buffer.from(text(usage));
    for (const size of [65_536, 99_991, 7 * MIB])
      for (const hideUsage of [false, true]) {
        const tap = new StreamTap({ hideUsage });
        const kept: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) {
          const passed = tap.push(bytes.subarray(at, at + size), 0);
          if (passed !== undefined) kept.push(passed);
          expect(tap.heldBytes).toBeLessThanOrEqual(MIB);
        }
        expect(Buffer.concat(kept).toString() === text(hideUsage ? '' : usage)).toBe(true);
        expect(tap).toMatchObject({ failure: undefined, done: true });
        expect(tap.observation).toMatchObject({ contentEvents: 3, finishReasons: ['stop'] });
        expect(tap.observation.usage?.completionTokens).toBe(1290);
        expect(tap.observation.replyBytes).toBeGreaterThan(4 * MIB);
      }
  });

  it.each([
    ['an error that comes after it', [Buffer.from('"}}]}}],"error":{"message":"secret host"}}\n\n')]],
    ['an error in its choice', [Buffer.from('"}}]},"finish_reason":"error","error":"secret host"}]}\n\n')]],
    ['the end of a line in it', [Buffer.from('x\ndata: secret host')]],
    ['what is no JSON after it', [Buffer.from('"}}]},secret host}\n\n')]],
    ['the end of the body', []],
    ['the end of the body after it', [Buffer.from('"}}]}}')]],
  ])('ends a stream in the middle of a picture with %s', (_name, after) => {
    const [head, ...data] = picture('', 3 * MIB).slice(0, -1);
    const tap = new StreamTap({ hideUsage: false });
    const passed = [Buffer.from(delta('a', 'stop')), head!, ...data, ...after].map((piece) =>
      tap.push(piece, 0),
    );
    expect(tap.isServed).toBe(false);
    expect(tap.pushEnd(0)).toBeUndefined();
    expect(tap.end()).toMatchObject({ code: 'upstream_error' });
    const text = Buffer.concat(passed.filter((piece) => piece !== undefined)).toString();
    expect(text.startsWith(delta('a', 'stop') + head!.toString())).toBe(true);
    expect(text.length).toBeGreaterThan(3 * MIB);
    expect(text).not.toContain('secret');
  });

  it('takes a picture whose event no blank line ends', () => {
    const event = Buffer.concat(picture('', 3 * MIB)).subarray(0, -2);
    const tap = new StreamTap({ hideUsage: false });
    const passed = [tap.push(event, 0), tap.pushEnd(0)].map((bytes) => bytes?.toString() ?? '');
    expect(passed.join('') === `${event}\n\n`).toBe(true);
    expect(tap.end()).toBeUndefined();
  });

  it('ends with an error where a large event takes back that it is a piece of a reply', () => {
    const { forwarded, tap } = pass([
      ...picture('', 2 * MIB, ',"choices":null'),
      Buffer.from(delta('b', 'stop')),
    ]);
    expect(forwarded.length).toBeGreaterThan(MIB);
    expect(forwarded).not.toContain('"b"');
    expect(tap.failure?.code).toBe('upstream_error');
  });

  it('looks at a large event as at any other', () => {
    const { forwarded, tap } = pass(picture('"error":{"message":"secret"},', MIB));
    expect([forwarded, tap.failure?.code]).toEqual(['', 'upstream_error']);
    const named = pass([Buffer.from('event: error\n'), ...picture('', MIB)]);
    expect([named.forwarded, named.tap.failure?.code]).toEqual(['', 'upstream_error']);
    // The second line would not be one if it were part of a string.
    const hidden = Buffer.from('"\nevent: error\ndata: "');
    const split = pass([
      Buffer.from('data: {"x":"'),
      ...pieces(MIB),
      hidden,
      ...pieces(MIB),
      Buffer.from('"}\n\n'),
    ]);
    expect([split.forwarded, split.tap.failure?.code]).toEqual(['', 'upstream_error']);
  });

  it.each([1_024, 65_536])('bounds one event, also in pieces of %i bytes', (size) => {
    const endless = [Buffer.from('data: {"choices":[{"delta":{"content":"'), ...pieces(10 * MIB, size)];
    const { forwarded, tap } = pass([Buffer.from(delta('a')), ...endless]);
    expect(forwarded).toBe(delta('a'));
    expect(tap.failure).toMatchObject({ code: 'upstream_error', message: expect.stringContaining('9 MiB') });
  });

  it('bounds what there is in an event beside long texts', () => {
    const many = Buffer.from(`data: {"choices":[{"delta":{"content":"a"},"x":[${'1,'.repeat(MIB)}1]}]}\n\n`);
    const { forwarded, tap } = pass([Buffer.from(delta('a')), many]);
    expect(forwarded).toBe(delta('a'));
    expect(tap.failure?.code).toBe('upstream_error');
  });

  it('knows text by its bytes also after reasoning that came beside an empty text', () => {
    const tap = new StreamTap({ hideUsage: false });
    const event = (fields: object) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: fields, finish_reason: null }] })}\n\n`;
    for (let i = 0; i < 12; i += 1) tap.push(Buffer.from(event({ content: '', reasoning: `w${i}` })), 0);
    const parse = vi.spyOn(JSON, 'parse');
    const texts = Array.from({ length: 20 }, (_, i) => Buffer.from(event({ content: ` w${i}` })));
    for (const text of texts) tap.push(text, 0);
    expect(parse).toHaveBeenCalledTimes(1);
    parse.mockRestore();
    expect(tap.observation.contentEvents).toBe(32);
  });
});

import { describe, expect, it } from 'vitest';
import { recordings } from '../../test/recorded/recordings.ts';
import { WholeTap } from './whole-tap.ts';

function tapOf(
  text: string | Buffer,
  pieceBytes = 10,
): { tap: WholeTap; failure: ReturnType<WholeTap['end']> } {
  const bytes = Buffer.from(text);
  const tap = new WholeTap(() => 0);
  for (let at = 0; at < bytes.length; at += pieceBytes) tap.push(bytes.subarray(at, at + pieceBytes));
  return { tap, failure: tap.end() };
}

describe('WholeTap', () => {
  it.each(recordings().filter(({ stream, status }) => !stream && status === 200))(
    'reads $name',
    ({ bytes }) => {
      const reply = JSON.parse(bytes.toString());
      const { tap, failure } = tapOf(bytes);
      expect(failure).toBeUndefined();
      expect(tap.observation.usage).toMatchObject({
        promptTokens: reply.usage.prompt_tokens,
        completionTokens: reply.usage.completion_tokens,
      });
      expect(tap.observation.finishReasons).toHaveLength(reply.choices.length);
      expect(tap.observation.firstTokenAtMs).toBe(0);
    },
  );

  it('finds the usage at the end of a reply too large to keep', () => {
    const text = '"usage":{"prompt_tokens":1}'.repeat(150_000);
    const reply = {
      choices: [{ message: { content: text } }],
      usage: { prompt_tokens: 7, completion_tokens: 9 },
    };
    const { tap, failure } = tapOf(JSON.stringify({ ...reply, metrics: null }), 65_536);
    expect(failure).toBeUndefined();
    expect(tap.observation.usage).toMatchObject({ promptTokens: 7, completionTokens: 9 });
  });

  it.each([65_536, 100_003, 4_000_000])(
    'counts the choices of such a reply, wherever it is cut (%d)',
    (pieceBytes) => {
      const talk = 'says "finish_reason":"stop" '.repeat(30_000);
      const choices = ['stop', 'length', 'tool_calls'].map((finish_reason, index) => ({
        index,
        message: { content: talk },
        logprobs: null,
        finish_reason,
      }));
      const { tap } = tapOf(
        JSON.stringify({ choices, usage: { prompt_tokens: 7, completion_tokens: 9 } }),
        pieceBytes,
      );
      expect(tap.observation.finishReasons).toEqual(['stop', 'length', 'tool-calls']);
      expect(tap.observation.contentEvents).toBe(3);
      expect(tap.observation.usage?.completionTokens).toBe(9);
    },
  );

  const long = 'word '.repeat(600_000);

  it('finds the usage wherever it stands in such a reply, with spaces or without', () => {
    const choices = [{ message: { content: long }, finish_reason: 'stop' }];
    const usage = { prompt_tokens: 7, completion_tokens: 9 };
    const first = new WholeTap(() => 0);
    first.push(Buffer.from(JSON.stringify({ usage, choices }).slice(0, 100_000)));
    expect(first.readBeginning()).toBeUndefined();
    expect(first.observation.usage).toMatchObject({ promptTokens: 7, completionTokens: 9 });
    const { tap } = tapOf(
      JSON.stringify({ choices, usage }, null, 1).replace('"usage":', '"usage" :'),
      65_536,
    );
    expect(tap.observation.usage).toMatchObject({ promptTokens: 7, completionTokens: 9 });
  });

  it('counts what such a reply may have where it does not say', () => {
    const choices = [{ message: { content: long }, finish_reason: 'stop' }];
    expect(tapOf(JSON.stringify({ choices }), 65_536).tap.observation.contentEvents).toBeGreaterThan(750_000);
    const data = [{ embedding: new Array(400_000).fill(0.25) }];
    expect(tapOf(JSON.stringify({ data }), 65_536).tap.observation.contentEvents).toBe(0);
  });

  it.each([`{"error":{"message":"${long}"}}`, `{"object":"error","message":"${long}"}`])(
    'knows an error by its beginning',
    (text) => {
      const tap = new WholeTap(() => 0);
      tap.push(Buffer.from(text.slice(0, 65_536)));
      expect(tap.readBeginning()).toMatchObject({ code: 'upstream_error' });
    },
  );

  it('believes nobody who writes and says that it wrote nothing', () => {
    const choices = [{ message: { content: 'word '.repeat(50) }, finish_reason: 'stop' }];
    for (const usage of [{ prompt_tokens: 10 }, { prompt_tokens: 10, completion_tokens: 0 }]) {
      const { tap } = tapOf(JSON.stringify({ choices, usage }));
      expect(tap.observation.contentEvents).toBe(63);
      expect(tap.observation.usage).toMatchObject({ promptTokens: 10, completionTokens: 0 });
    }
  });

  it.each(['{"choices":[', '', 'null x'])('refuses what is not complete JSON: %j', (text) => {
    expect(tapOf(text).failure?.code).toBe('upstream_error');
  });

  it('takes an error with status 200 for what it is', () => {
    expect(tapOf('{"error":{"message":"secret"}}').failure).toMatchObject({
      code: 'upstream_error',
      message: 'The model server failed.',
    });
  });
});

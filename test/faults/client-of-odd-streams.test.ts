import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { serveUpstreams } from '../resilience/fleet.ts';
import { rawUpstream } from '../upstream/harness.ts';

const chunk = (choices: unknown, extra: object = {}) =>
  JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices, ...extra });
const piece = (content: string, finish: string | null = null) =>
  chunk([{ index: 0, delta: { role: 'assistant', content }, finish_reason: finish }]);
const USAGE = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
const TEXT = [piece('Hello'), piece(' there', 'stop')];
const DONE = '[DONE]';

/** Each has a chunk with which clients end that look into each choice. */
const ODD: Record<string, readonly string[]> = {
  'a choice that is null': [chunk([null]), ...TEXT, chunk([], { usage: USAGE }), DONE],
  'a choice that is a number': [
    piece('Hello'),
    chunk([7]),
    piece(' there', 'stop'),
    chunk([], { usage: USAGE }),
    DONE,
  ],
  'an object for choices': [chunk({}), ...TEXT, chunk([], { usage: USAGE }), DONE],
  'its usage without choices': [...TEXT, chunk(undefined, { usage: USAGE }), DONE],
  'its usage beside choices that are null': [...TEXT, chunk(null, { usage: USAGE }), DONE],
  'its usage beside a choice that is null': [...TEXT, chunk([null], { usage: USAGE }), DONE],
};

describe('openai-node reads a stream that has', () => {
  it.each(Object.entries(ODD))('%s', async (_name, data) => {
    const body = data.map((one) => `data: ${one}\n\n`).join('');
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
    const fleet = await serveUpstreams([await rawUpstream((socket) => socket.end(head + body))]);
    const client = new OpenAI({ baseURL: `${fleet.url}/v1`, apiKey: 'any', maxRetries: 0 });
    const asked = { model: 'm', messages: [{ role: 'user' as const, content: 'Say it' }] };
    for (const include_usage of [true, false]) {
      const stream = client.chat.completions.stream({ ...asked, stream_options: { include_usage } });
      const { choices, usage } = await stream.finalChatCompletion();
      expect(choices[0]?.message.content).toBe('Hello there');
      expect(usage).toEqual(include_usage ? USAGE : undefined);
    }
    await fleet.idle();
  });
});

it('a whole reply with a choice that is null is none', async () => {
  const reply = JSON.stringify({ object: 'chat.completion', choices: [null], usage: USAGE });
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${reply.length}\r\n\r\n`;
  const fleet = await serveUpstreams([await rawUpstream((socket) => socket.write(head + reply))]);
  expect(await fleet.ask({ stream: false })).toMatchObject({ status: 502 });
});

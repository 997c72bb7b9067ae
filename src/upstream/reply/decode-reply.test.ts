import { describe, expect, it } from 'vitest';
import { recording, recordings } from '../../../test/recorded/recordings.ts';
import type { RelaySink } from '../../core/backend.ts';
import { AppError } from '../../core/error.ts';
import type { Part } from '../../core/part.ts';
import { decodeReply } from './decode-reply.ts';

/** Bytes in pieces, then an error if one is given. */
function sourceOf(bytes: Buffer, pieceBytes: number, failure?: AppError) {
  return {
    async pump(sink: RelaySink): Promise<void> {
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        if (!sink.write(bytes.subarray(at, at + pieceBytes))) await sink.drained();
      }
      if (failure !== undefined) throw failure;
    },
  };
}

async function decode(
  bytes: Buffer,
  request: { endpoint: 'chat' | 'completion'; stream: boolean },
  failure?: AppError,
): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of decodeReply(sourceOf(bytes, 7, failure), request)) parts.push(part);
  return parts;
}

function decodeRecording(name: string): Promise<Part[]> {
  const { bytes, stream, path } = recording(name);
  return decode(bytes, { endpoint: path === '/completions' ? 'completion' : 'chat', stream });
}

const events = (...chunks: unknown[]) =>
  Buffer.from(`${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`);
const deltas = (parts: readonly Part[]) => parts.filter((part) => part.type === 'text-delta');
const text = (parts: readonly Part[], index = 0) =>
  deltas(parts)
    .filter((part) => part.index === index)
    .map((part) => part.text)
    .join('');

describe('recorded replies of vLLM', () => {
  const good = recordings().filter(({ status }) => status === 200);

  it.each(good)('$name becomes start, deltas, a finish per choice, usage', async ({ name, request }) => {
    const parts = await decodeRecording(name);
    expect(parts[0]?.type).toBe('start');
    const prompts = Array.isArray(request.prompt) ? request.prompt.length : 1;
    const finishes = parts.filter((part) => part.type === 'finish');
    expect(finishes.map((part) => part.index).sort()).toEqual(
      Array.from({ length: prompts * Number(request.n ?? 1) }, (_, index) => index),
    );
    for (const { index } of finishes) expect(text(parts, index)).not.toBe('');
    const askedForUsage = request.stream !== true || request.stream_options !== undefined;
    expect(parts.at(-1)?.type).toBe(askedForUsage ? 'usage' : 'finish');
    expect(parts.filter((part) => part.type === 'usage')).toHaveLength(askedForUsage ? 1 : 0);
  });

  it('gives the same text streamed and whole', async () => {
    expect(text(await decodeRecording('chat-stream-usage'))).toBe(text(await decodeRecording('chat-whole')));
    expect(text(await decodeRecording('completion-stream'))).toBe(
      text(await decodeRecording('completion-whole')),
    );
  });

  it('reads log-probabilities of both endpoints, with one token each', async () => {
    for (const name of ['chat-stream-logprobs', 'completion-stream-logprobs']) {
      const parts = await decodeRecording(name);
      for (const part of deltas(parts)) {
        expect(part.tokens).toBe(1);
        const [logprob] = part.logprobs ?? [];
        expect(logprob?.token).toBe(part.text);
        expect(Buffer.from(logprob?.bytes ?? []).toString()).toBe(part.text);
        expect(logprob?.top).toHaveLength(2);
        expect(logprob?.logprob).toBeLessThan(0);
      }
    }
  });

  it('reads the stop string, the cached tokens and split characters', async () => {
    expect(await decodeRecording('chat-stream-stop')).toContainEqual({
      type: 'finish',
      index: 0,
      reason: 'stop',
      stopMatch: 'France is',
    });
    const usage = (await decodeRecording('chat-stream-cached-usage')).at(-1);
    expect(usage).toMatchObject({ usage: { cachedPromptTokens: 384 } });
    expect(text(await decodeRecording('chat-stream-unicode'))).not.toContain('\uFFFD');
  });
});

describe('decodeReply', () => {
  const chat = { endpoint: 'chat', stream: true } as const;

  it('reads reasoning under both of its names', async () => {
    const parts = await decode(
      events(
        { choices: [{ index: 0, delta: { reasoning: 'a' } }] },
        { choices: [{ index: 0, delta: { reasoning_content: 'b', content: null } }] },
        { choices: [{ index: 0, delta: { content: 'c' }, finish_reason: 'stop' }] },
      ),
      chat,
    );
    expect(parts.map((part) => ('text' in part ? `${part.type} ${part.text}` : part.type))).toEqual([
      'start',
      'reasoning-delta a',
      'reasoning-delta b',
      'text-delta c',
      'finish',
    ]);
  });

  it('reads tool calls, id and name once', async () => {
    const call = (value: object) => ({ choices: [{ index: 0, delta: { tool_calls: [value] } }] });
    const parts = await decode(
      events(
        call({ index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } }),
        call({ index: 0, id: null, function: { name: '', arguments: '{"a"' } }),
        call({ index: 1, id: 'call_2', function: { name: 'g', arguments: '{}' } }),
        { choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] },
      ),
      chat,
    );
    expect(parts.slice(1)).toEqual([
      { type: 'tool-call-delta', index: 0, call: 0, id: 'call_1', name: 'f', arguments: '', tokens: 1 },
      { type: 'tool-call-delta', index: 0, call: 0, arguments: '{"a"', tokens: 1 },
      { type: 'tool-call-delta', index: 0, call: 1, id: 'call_2', name: 'g', arguments: '{}', tokens: 1 },
      { type: 'finish', index: 0, reason: 'tool-calls' },
    ]);
  });

  it('numbers the tool calls of a whole reply by position', async () => {
    const tool_calls = ['f', 'g'].map((name) => ({ id: name, function: { name, arguments: '{}' } }));
    const reply = {
      choices: [{ index: 0, message: { content: null, tool_calls }, finish_reason: 'tool_calls' }],
    };
    const parts = await decode(Buffer.from(JSON.stringify(reply)), { endpoint: 'chat', stream: false });
    expect(parts.map((part) => (part.type === 'tool-call-delta' ? part.call : undefined))).toEqual([
      undefined,
      0,
      1,
      undefined,
    ]);
  });

  it('ends with an error part when the stream breaks', async () => {
    const error = new AppError('upstream_timeout');
    const parts = await decode(events({ choices: [{ index: 0, delta: { content: 'a' } }] }), chat, error);
    expect(parts.map((part) => part.type)).toEqual(['start', 'text-delta', 'error']);
    expect(parts.at(-1)).toEqual({ type: 'error', error });
  });

  it('survives chunks of any shape', async () => {
    const odd = [
      null,
      1,
      [],
      {},
      { choices: null },
      { choices: [null, 1, { delta: 3 }, { index: 'x', text: 5 }] },
    ];
    const more = [{ usage: 3 }, { choices: [{ delta: { tool_calls: [null, { function: 'x' }] } }] }];
    const parts = await decode(events(...odd, ...more), chat);
    expect(parts.filter((part) => part.type !== 'tool-call-delta').map((part) => part.type)).toEqual([
      'start',
    ]);
  });
});

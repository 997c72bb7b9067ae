import { describe, expect, it } from 'vitest';
import { streamFaults, wholeFaults } from '../bench/k6/stream.js';

const head = { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm' };
const role = {
  ...head,
  choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
};
const text = { ...head, choices: [{ index: 0, delta: { content: 'hi' }, finish_reason: null }] };
const finish = { ...head, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };
const usage = { ...head, choices: [], usage: { prompt_tokens: 2, completion_tokens: 1, total_tokens: 3 } };

function stream(...events: unknown[]): string {
  return events.map((e) => `data: ${typeof e === 'string' ? e : JSON.stringify(e)}\n\n`).join('');
}

function faults(events: unknown[], usageAsked = false): string[] {
  return streamFaults(stream(...events), { kind: 'chat', usageAsked });
}

describe('the stream check of the load script', () => {
  it('finds nothing wrong with a faithful stream, heartbeats included', () => {
    expect(faults([role, text, finish, '[DONE]'])).toEqual([]);
    expect(faults([role, text, finish, usage, '[DONE]'], true)).toEqual([]);
    const body = `: heartbeat\n\n${stream(role, text, finish, '[DONE]')}`;
    expect(streamFaults(body, { kind: 'chat', usageAsked: false })).toEqual([]);
  });

  it.each([
    ['no [DONE]', [role, text, finish], '[DONE] came 0 times'],
    ['two [DONE]', [role, text, finish, '[DONE]', '[DONE]'], '[DONE] came 2 times'],
    ['[DONE] too early', [role, text, '[DONE]', finish], '[DONE] is not last'],
    ['a line that is not JSON', [role, text, '{oops', finish, '[DONE]'], 'not JSON: {oops'],
    ['an error event', [role, text, { ...head, error: { message: 'x' } }, finish, '[DONE]'], 'error event'],
    ['another id', [role, { ...text, id: 'c2' }, finish, '[DONE]'], 'id is not the same in all chunks'],
    [
      'another model',
      [role, { ...text, model: 'x' }, finish, '[DONE]'],
      'model is not the same in all chunks',
    ],
    ['no role', [text, finish, '[DONE]'], 'the first delta has no role'],
    ['no finish', [role, text, '[DONE]'], 'finish_reason came 0 times'],
    ['two finishes', [role, text, finish, finish, '[DONE]'], 'finish_reason came 2 times'],
    ['text after the finish', [role, finish, text, '[DONE]'], 'content after finish_reason'],
    ['no text', [role, finish, '[DONE]'], 'no text'],
    [
      'usage that nobody asked for',
      [role, text, finish, usage, '[DONE]'],
      'usage was sent though not asked for',
    ],
    ['nothing', ['[DONE]'], 'no chunks'],
  ])('sees %s', (_what, events, fault) => {
    expect(faults(events).join('; ')).toContain(fault);
  });

  it.each([
    ['no usage', [role, text, finish, '[DONE]'], 'usage came 0 times'],
    ['usage before the end', [role, usage, text, finish, '[DONE]'], 'usage is not the last chunk'],
    [
      'usage that does not add up',
      [
        role,
        text,
        finish,
        { ...usage, usage: { prompt_tokens: 2, completion_tokens: 1, total_tokens: 4 } },
        '[DONE]',
      ],
      'total_tokens is 4 instead of 3',
    ],
  ])('sees %s where usage was asked for', (_what, events, fault) => {
    expect(faults(events, true).join('; ')).toContain(fault);
  });

  it('checks replies that are not streamed', () => {
    const reply = {
      object: 'text_completion',
      choices: [{ text: 'hi', finish_reason: 'stop' }],
      usage: usage.usage,
    };
    expect(wholeFaults(JSON.stringify(reply), { kind: 'text' })).toEqual([]);
    expect(wholeFaults(JSON.stringify({ ...reply, usage: undefined }), { kind: 'text' })).toEqual([
      'no usage',
    ]);
    expect(wholeFaults(JSON.stringify(reply), { kind: 'chat' })).toContain('no text');
    expect(wholeFaults('<html>', { kind: 'chat' })).toEqual(['not JSON']);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Spoken, ToolCallReader, type ToolCallReaderOptions } from './tool-call-reader.ts';

function read(pieces: readonly string[], options: Partial<ToolCallReaderOptions> = {}) {
  const reader = new ToolCallReader({
    dialect: 'hermes',
    names: new Set(['weather', 'time']),
    forced: false,
    ...options,
  });
  const spoken: Spoken[] = [...pieces.flatMap((piece) => reader.push(piece)), ...reader.flush()];
  const calls = spoken.flatMap((part) => (part.type === 'call' ? [part] : []));
  expect(calls.map(({ call }) => call)).toEqual(calls.map((_, i) => i));
  return {
    text: spoken.map((part) => (part.type === 'text' ? part.text : '')).join(''),
    calls: calls.map((call) => [call.name, call.arguments]),
  };
}

const call = (name: string, args: string) =>
  `<tool_call>\n{"name": "${name}", "arguments": ${args}}\n</tool_call>`;

describe('Hermes', () => {
  test.each([
    ['no call', 'Hello <there>, friend.', 'Hello <there>, friend.', []],
    ['a call', call('time', '{}'), '', [['time', '{}']]],
    ['text before a call', `Let me see. \n${call('time', '{}')}`, 'Let me see.', [['time', '{}']]],
    [
      'two calls',
      `${call('weather', '{"city": "Xi\'an"}')}\n${call('time', '{}')}\n`,
      '',
      [
        ['weather', '{"city":"Xi\'an"}'],
        ['time', '{}'],
      ],
    ],
    [
      'an end mark within a string',
      call('time', '{"a": "</tool_call>\\""}'),
      '',
      [['time', '{"a":"</tool_call>\\""}']],
    ],
    ['arguments that are a string of JSON', call('time', '"{\\"a\\": 1}"'), '', [['time', '{"a": 1}']]],
    ['no arguments', '<tool_call>{"name": "time"}</tool_call>', '', [['time', '{}']]],
    ['a forgotten end mark', '<tool_call>\n{"name": "time", "arguments": {}}', '', [['time', '{}']]],
    ['text after a call', `${call('time', '{}')} Done.`, ' Done.', [['time', '{}']]],
    ['an unknown tool', call('rm', '{}'), call('rm', '{}'), []],
    ['broken JSON', '<tool_call>{oops}</tool_call>', '<tool_call>{oops}</tool_call>', []],
    ['arguments that are no object', call('time', '[1]'), call('time', '[1]'), []],
    ['a call cut short', '<tool_call>\n{"name": "time", "arg', '<tool_call>\n{"name": "time", "arg', []],
    ['the beginning of a mark', 'a <tool_', 'a <tool_', []],
    ['white space only', ' \n', ' \n', []],
  ])('%s', (_, text, shown, calls) => {
    expect(read([text])).toEqual({ text: shown, calls });
  });

  test.each(['<tool_call>\n{"name": "time", "', '<tool_call>', '<tool_'])(
    'a forced call that is cut at its beginning is nothing: %s',
    (cut) => {
      const before = call('time', '{}');
      expect(read([`${before}\n${cut}`], { forced: true })).toEqual({ text: '', calls: [['time', '{}']] });
      expect(read([cut], { forced: true })).toEqual({ text: '', calls: [] });
    },
  );

  test('a forced call that is cut short is a call, as far as it goes', () => {
    const { text, calls } = read(['<tool_call>\n{"name": "time", "arguments": {"a": "b'], { forced: true });
    expect({ text, calls }).toEqual({ text: '', calls: [['time', '{"a": "b']] });
  });

  test('text comes at once, up to what may be a mark', () => {
    const reader = new ToolCallReader({ dialect: 'hermes', names: new Set(), forced: false });
    expect(reader.push('Hello <')).toEqual([{ type: 'text', text: 'Hello' }]);
    expect(reader.push('b>')).toEqual([{ type: 'text', text: ' <b>' }]);
  });

  test('however the reply is cut, it reads the same', () => {
    const snippet = fc.constantFrom(
      ...[call('time', '{"a": 1}'), call('weather', '{"city": "</tool_call>"}'), call('rm', '{}')],
      ...['<tool_call>', '</tool_call>', 'text', ' ', '\n', '<', '"', '{', '<tool_call>{}</tool_call>'],
    );
    fc.assert(
      fc.property(
        fc.array(snippet, { maxLength: 6 }),
        fc.array(fc.nat(8), { maxLength: 60 }),
        (parts, sizes) => {
          const text = parts.join('');
          const pieces: string[] = [];
          let at = 0;
          for (const size of sizes) {
            pieces.push(text.slice(at, at + size));
            at += size;
          }
          pieces.push(text.slice(at));
          expect(read(pieces)).toEqual(read([text]));
        },
      ),
    );
  });
});

describe('Llama', () => {
  const llama = { dialect: 'llama' } as const;
  test.each([
    ['a call', '{"name": "time", "parameters": {"a": "}"}}', '', [['time', '{"a":"}"}']]],
    [
      'two calls',
      '{"name": "time", "parameters": {}}; {"name": "weather", "parameters": {}}',
      '',
      [
        ['time', '{}'],
        ['weather', '{}'],
      ],
    ],
    ['text', 'It is {"name": "time", "parameters": {}}', 'It is {"name": "time", "parameters": {}}', []],
    ['other JSON', '{"answer": 42}', '{"answer": 42}', []],
    ['JSON cut short', '{"name": "time", "par', '{"name": "time", "par', []],
  ])('%s', (_, text, shown, calls) => {
    expect(read([text], llama)).toEqual({ text: shown, calls });
    expect(read([...text], llama)).toEqual({ text: shown, calls });
  });
});

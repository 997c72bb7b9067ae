import { describe, expect, it, vi } from 'vitest';
import { parseFields } from './parse-fields.ts';

const LONG = 'word '.repeat(10_000);
const relayed = () => false;

const chat = (extra: object = {}) => ({
  model: 'm',
  messages: [{ role: 'user', content: LONG }],
  temperature: 0.5,
  ...extra,
});
const parse = (body: unknown, readsPrompts: (model: string) => boolean = relayed) =>
  parseFields(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), readsPrompts);

describe('parseFields', () => {
  it('does not parse a long prompt that nobody reads, and reads all other fields', () => {
    const body = chat({ stop: ['a'], metadata: { messages: 1 } });
    const parser = vi.spyOn(JSON, 'parse');
    const { fields, unread } = parse(body);
    expect(parser.mock.calls.every(([text]) => text.length < 1_000)).toBe(true);
    parser.mockRestore();
    expect(unread).toBe(true);
    expect(fields).toEqual({ ...body, messages: [{ role: 'user', content: '' }] });
  });

  it('is not mistaken by bytes that only begin as a picture does', () => {
    expect(parse(chat({ user: '_', stop: ['_ur'] })).unread).toBe(true);
    expect(parse(chat({ stop: 'a_b '.repeat(100), user: '_' })).unread).toBe(true);
  });

  it('does the same with the text of a completion', () => {
    expect(parse({ model: 'm', prompt: LONG, n: 2 })).toEqual({
      fields: { model: 'm', prompt: '', n: 2 },
      unread: true,
    });
  });

  it('takes the last of duplicate fields, as a parser does', () => {
    const body = JSON.stringify(chat()).replace('{', '{"model":"other","temperature":2,');
    expect(parse(body, (model) => model === 'other')).toMatchObject({
      fields: { model: 'm', temperature: 0.5 },
      unread: true,
    });
  });

  it.each([
    ['somebody reads it', JSON.stringify(chat()), () => true],
    ['it is short', JSON.stringify({ ...chat(), messages: [{ role: 'user', content: 'hi' }] }), relayed],
    ['a key is written with escapes', JSON.stringify(chat()).replace('"model"', '"mod\\u0065l"'), relayed],
    ['it holds pictures', JSON.stringify(chat({ user: '' })).replace('"user"', '"image_url"'), relayed],
    [
      'it holds pictures behind many names',
      JSON.stringify(chat({ user: '', metadata: 'a_b '.repeat(100) })).replace('"user"', '"image_url"'),
      relayed,
    ],
    ['it is a list of token ids', JSON.stringify({ model: 'm', prompt: Array(20_000).fill(7) }), relayed],
  ])('parses everything when %s', (_name, body, readsPrompts) => {
    const { fields, unread } = parse(body, readsPrompts);
    expect(unread).toBe(false);
    expect(fields).toEqual(JSON.parse(body));
  });

  it.each([
    ['trailing text', `${JSON.stringify(chat())}x`],
    ['an open end', JSON.stringify(chat()).slice(0, -1)],
    ['an open string', JSON.stringify(chat()).slice(0, 20_000)],
    ['nesting beyond reason', JSON.stringify(chat()).replace('[', '['.repeat(20_000))],
  ])('refuses %s as ever', (_name, body) => {
    expect(() => parse(body)).toThrow(/not valid JSON|nested deeper/);
  });

  it('refuses what is not UTF-8', () => {
    const body = Buffer.from(JSON.stringify(chat()));
    body[5_000] = 0xff;
    expect(() => parseFields(body, relayed)).toThrow(/UTF-8/);
  });
});

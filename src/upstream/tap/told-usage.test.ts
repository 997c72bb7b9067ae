import { expect, it } from 'vitest';
import { shownUsage, usageReplaced, withoutNullUsage, withoutUsage, withUsage } from './told-usage.ts';

it.each([
  ['in front', '{"usage":{"a":1},"id":"c","choices":[{}]}', '{"id":"c","choices":[{}]}'],
  ['in the middle', '{"id":"c", "usage" : {"a":{"b":"}"}} , "choices":[{}]}', '{"id":"c" , "choices":[{}]}'],
  ['at the end', '{"id":"c","choices":[{}],"usage":{"a":1}}', '{"id":"c","choices":[{}]}'],
  ['alone', '{"usage":{"a":1}}', '{}'],
  ['twice', '{"usage":1,"usage":2,"id":"c"}', '{"id":"c"}'],
  ['with escapes', '{"id":"c","us\\u0061ge":{"a":1}}', '{"id":"c"}'],
  [
    'beside numbers that a parser changes',
    '{"n":1.0,"usage":{},"i":12345678901234567890}',
    '{"n":1.0,"i":12345678901234567890}',
  ],
  ['on lines of its own', '{"id":"c",\n"usage":{\n"a":1},\n"choices":[{}]}', '{"id":"c", "choices":[{}]}'],
  ['beside an argument of that name', '{"choices":[{"usage":1}],"usage":2}', '{"choices":[{"usage":1}]}'],
])('takes out usage that stands %s, and nothing else', (_name, data, wanted) => {
  expect(withoutUsage(data)?.toString()).toBe(`data: ${wanted}\n\n`);
});

it('takes it out of a chunk that is too deep to be looked into', () => {
  const deep = `${'['.repeat(100)}${']'.repeat(100)}`;
  const data = `{"choices":${deep},"usage":{"a":1}}`;
  expect(withoutUsage(data)?.toString()).toBe(`data: {"choices":${deep}}\n\n`);
});

it('puts another in its place, and leaves everything else as it is', () => {
  const data = '{"us\\u0061ge":{"a":1},"n":1.0,"choices":[{"usage":1}], "usage" : -1}';
  expect(withUsage(data, { b: 2 })?.toString()).toBe(
    'data: {"us\\u0061ge":{"b":2},"n":1.0,"choices":[{"usage":1}], "usage" : {"b":2}}\n\n',
  );
  const deep = `{"choices":${'['.repeat(100)}${']'.repeat(100)},"usage":-1}`;
  expect(withUsage(deep, { b: 2 })?.toString()).toBe(`data: ${deep.replace('-1', '{"b":2}')}\n\n`);
});

it.each([
  ['in front', '{"usage":null,"id":"c"}', '{"id":"c"}'],
  ['in the middle, with spaces', '{"id":"c", "usage" : null , "choices":[]}', '{"id":"c" , "choices":[]}'],
  ['at the end', '{"id":"c","usage":null}', '{"id":"c"}'],
  ['alone', '{ "usage":null}', '{ }'],
  ['in a part of the chunk', '{"x_groq":{"id":"r","usage":null}}', '{"x_groq":{"id":"r"}}'],
])('takes out usage that is null and stands %s', (_name, data, wanted) => {
  const other = `data: {"text":${JSON.stringify(`${data},"usage":null`)},"k":"usage","usages":null,"a":[1,"usage"]}\n\n`;
  expect(withoutNullUsage(Buffer.from(`data: ${data}\n\n${other}`)).toString()).toBe(
    `data: ${wanted}\n\n${other}`,
  );
});

it('leaves bytes alone that only look like it, or are cut', () => {
  for (const text of ['{"a":"usage":null}', '{"usage":{"a":null}}', '{"usage":nul', '"usage"']) {
    const bytes = Buffer.from(text);
    expect(withoutNullUsage(bytes)).toBe(bytes);
  }
});

it('puts another in place of each that stands in a choice, or in a field of its own', () => {
  const text =
    '{"choices": [ {"index":0,"usage":{"a":1},"n":1.0} , {"usage":null}, {"usage":{}}],"x_groq":{"id":"r","usage":{"a":1}}}';
  expect(usageReplaced(Buffer.from(text), 0, { b: 2 })?.toString()).toBe(
    '{"choices": [ {"index":0,"usage":{"b":2},"n":1.0} , {"usage":null}, {"usage":{"b":2}}],"x_groq":{"id":"r","usage":{"b":2}}}',
  );
  for (const choices of ['null', '[', '[1,{"usage":{}}]', '{"usage":{"a":1}}']) {
    const odd = Buffer.from(`{"choices":${choices},"usage":1}`);
    expect(usageReplaced(odd, 0, {})?.toString() ?? '').toBe(
      choices === '[' ? '' : odd.toString().replace(/1}$/, '{}}'),
    );
  }
});

it('hides what OpenAI tells only those who ask, and corrects what others tell everybody', () => {
  const data = '{"choices":[{"usage":{"a":1}}],"usage":{"a":1}}';
  const shown = { hides: true, lacksChoices: false };
  expect(shownUsage(data, { ...shown, counted: undefined })?.toString()).toBe(
    'data: {"choices":[{"usage":{"a":1}}]}\n\n',
  );
  expect(shownUsage(data, { ...shown, counted: { b: 2 } })?.toString()).toBe(
    'data: {"choices":[{"usage":{"b":2}}]}\n\n',
  );
});

it.each(['{"usage":{"a":1}}', '{"choices":null,"usage":{"a":1}}', '{"choices":[null],"usage":{"a":1}}'])(
  'gives %s the choices that clients look for',
  (data) => {
    const shown = (counted?: object) => {
      const event = shownUsage(data, { hides: false, lacksChoices: true, counted })!.toString();
      return JSON.parse(event.slice('data: '.length));
    };
    expect(shown()).toEqual({ choices: [], usage: { a: 1 } });
    expect(shown({ b: 2 })).toEqual({ choices: [], usage: { b: 2 } });
  },
);

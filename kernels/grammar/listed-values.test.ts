import { describe, expect, test } from 'vitest';
import { literal } from './code-points.ts';
import { JsonGrammar } from './json-grammar.ts';
import type { Schema } from './json-schema.ts';
import { Rules } from './rules.ts';

const grammarOf = (schema: Schema) => new JsonGrammar(new Rules()).add(schema);

describe('of the values that a schema lists', () => {
  test.each<[string, Schema, string]>([
    ['bounds', { enum: [1, 5], minimum: 4 }, '"5"'],
    ['lengths', { enum: ['', 'abc'], minLength: 2 }, literal('"abc"')],
    ['a pattern', { enum: ['a', 'b1'], pattern: '\\d' }, literal('"b1"')],
    ['a choice', { enum: [3, null], anyOf: [{ type: 'null' }, { minimum: 4 }] }, '"null"'],
    ['another list', { const: 2, enum: [1, 2] }, '"2"'],
    ['lists joined with bounds', { allOf: [{ enum: [1, 3] }, { minimum: 2 }] }, '"3"'],
    [
      'names that it closes',
      { enum: [{ a: 1 }, { b: 1 }], properties: { a: {} }, unevaluatedProperties: false },
      literal('{"a":1}'),
    ],
    ['a tuple that it closes', { enum: [[1], [1, 2]], prefixItems: [{}], unevaluatedItems: false }, '"[1]"'],
    [
      'another list in another order',
      { allOf: [{ enum: [{ a: 1, b: 2 }, 3] }, { enum: [{ b: 2, a: 1 }] }] },
      literal('{"a":1,"b":2}'),
    ],
    ['items', { enum: [[1], [1, 2]], minItems: 2 }, '"[1,2]"'],
  ])('only those are written that are valid under %s beside the list', (_, schema, grammar) => {
    expect(grammarOf(schema)).toBe(grammar);
  });

  test('thousands are looked at', () => {
    const listed = Array.from({ length: 10_000 }, (_, i) => `v${i}`);
    expect(grammarOf({ enum: listed, pattern: '9999$' })).toBe(literal('"v9999"'));
  });

  test.each<[string, Schema]>([
    ['none is valid', { const: 1, type: 'string' }],
    ['joining would lose a tuple', { allOf: [{ items: { type: 'integer' } }, { prefixItems: [{}] }] }],
    ['what is not supported stands deeper', { enum: [1], anyOf: [{ not: { const: 1 } }] }],
    [
      'what closes it would have to know of a choice',
      { const: {}, anyOf: [true], unevaluatedProperties: false },
    ],
    ['names are forbidden', { type: 'object', propertyNames: false }],
    ['a length is no whole number', { type: 'string', minLength: 1.5 }],
    ['two are the same', { oneOf: [{ const: { a: 1, b: 2 } }, { const: { b: 2, a: 1 } }] }],
  ])('there is a refusal where %s', (_, schema) => {
    expect(() => grammarOf(schema)).toThrow(expect.objectContaining({ name: 'GrammarError' }));
  });
});

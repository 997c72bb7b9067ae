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
    ['items', { enum: [[1], [1, 2]], minItems: 2 }, '"[1,2]"'],
  ])('only those are written that are valid under %s beside the list', (_, schema, grammar) => {
    expect(grammarOf(schema)).toBe(grammar);
  });

  test.each<[string, Schema]>([
    ['none is valid', { const: 1, type: 'string' }],
    ['joining would lose a tuple', { allOf: [{ items: { type: 'integer' } }, { prefixItems: [{}] }] }],
    ['names are forbidden', { type: 'object', propertyNames: false }],
    ['a length is no whole number', { type: 'string', minLength: 1.5 }],
    ['two are the same', { oneOf: [{ const: { a: 1, b: 2 } }, { const: { b: 2, a: 1 } }] }],
  ])('there is a refusal where %s', (_, schema) => {
    expect(() => grammarOf(schema)).toThrow(expect.objectContaining({ name: 'GrammarError' }));
  });
});

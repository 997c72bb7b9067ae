import { describe, expect, test } from 'vitest';
import { JsonGrammar } from './json-grammar.ts';
import type { Schema } from './json-schema.ts';
import { Rules } from './rules.ts';
import { checkedGrammar, regexText } from './text-grammar.ts';

/** Characters of the grammar, or why there is none. */
function sizeOf(build: (rules: Rules) => string): number | string {
  const rules = new Rules();
  try {
    return rules.withRoot(build(rules)).length;
  } catch (error) {
    expect(error).toMatchObject({ name: 'GrammarError' });
    return (error as Error).message;
  }
}

const ofSchema = (schema: Schema) => sizeOf((rules) => new JsonGrammar(rules).add(schema));
const ofRegex = (pattern: string) => sizeOf((rules) => regexText(pattern, rules));

function nested(levels: number, around: (inner: Schema) => Schema): Schema {
  return levels === 0 ? { type: 'string' } : around(nested(levels - 1, around));
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `n${i}`);

describe('a grammar grows no faster than what it is made from', () => {
  test.each([
    ['repetitions', () => ofRegex(`${'('.repeat(90)}a${')+'.repeat(90)}`)],
    ['counted repetitions', () => ofRegex(`${'('.repeat(90)}ab${'){2,}'.repeat(90)}`)],
    ['arrays', () => ofSchema(nested(60, (items) => ({ type: 'array', items, minItems: 2 })))],
    [
      'optional properties',
      () => ofSchema(nested(60, (a) => ({ type: 'object', properties: { a, b: a === true } }))),
    ],
    [
      'maps',
      () =>
        ofSchema(
          nested(60, (additionalProperties) => ({ type: 'object', additionalProperties, minProperties: 1 })),
        ),
    ],
    ['alternatives', () => ofSchema(nested(60, (a) => ({ anyOf: [a, { type: 'null' }] })))],
  ])('nested %s', (_, size) => {
    expect(size()).toBeLessThan(60_000);
  });
});

describe('ends at once, with a grammar or a reason', () => {
  test.each([
    ['a binary tree of alternatives', nested(12, (a) => ({ anyOf: [a, a] }))],
    ['a binary tree of intersections', nested(12, (a) => ({ allOf: [a, a] }))],
    ['many exclusive alternatives', { oneOf: names(5_000).map((name) => ({ const: name })) }],
    [
      'a chain of references',
      {
        $ref: '#/$defs/n0',
        $defs: Object.fromEntries(names(3_000).map((name, i) => [name, { $ref: `#/$defs/n${i + 1}` }])),
      },
    ],
    [
      'references to everything from everywhere',
      {
        type: 'object',
        properties: Object.fromEntries(
          names(400).map((name, i) => [
            name,
            { anyOf: names(20).map((_, j) => ({ $ref: `#/properties/n${(i * j) % 400}` })) },
          ]),
        ),
        required: names(400),
      },
    ],
    [
      'intersections in circles',
      { $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } }, allOf: [{ $ref: '#/$defs/a' }] },
    ],
    ['bounds beyond all numbers', { type: 'number', minimum: 1e300, maximum: 1e308 }],
    ['bounds far below', { type: 'integer', maximum: -1e300 }],
    ['bounds that are one number', { type: 'number', minimum: 1e14, maximum: 1e14 }],
    [
      'bounds between which there is no double',
      { type: 'number', exclusiveMinimum: 1, exclusiveMaximum: 1 + 2 ** -52 },
    ],
    ['a huge enumeration', { enum: names(20_000) }],
    ['two huge enumerations', { allOf: [{ enum: names(15_000) }, { enum: names(15_000).toReversed() }] }],
    [
      'a huge enumeration beside a huge choice',
      { enum: names(8_000), anyOf: names(4_000).map((name) => ({ const: `${name}!` })) },
    ],
    [
      'an expression that matches in more ways than can be tried',
      { enum: [`${'a'.repeat(5_000)}!`], pattern: '^(((a*)*)*)*$' },
    ],
    ['a value under a choice that leads in circles', { enum: [1], anyOf: [{ $ref: '#' }] }],
    ['more than may be read', { description: 'x'.repeat(300_000) }],
  ] as [string, Schema][])('%s', (_, schema) => {
    const size = ofSchema(schema);
    if (typeof size === 'number') expect(size).toBeLessThan(1_000_000);
  });

  test('a grammar of quotes that are never closed', () => {
    expect(checkedGrammar(`root ::= "a"\n${'\\"'.repeat(30_000)}`)).toContain('root');
    expect(checkedGrammar(`root ::= "a"\n${'['.repeat(60_000)}`)).toContain('root');
  });
});

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { structuredOutputShape, toStructure } from './structured-output.ts';

const structureOf = (fields: object) => toStructure(z.object(structuredOutputShape).parse(fields));
const schema = { type: 'object', properties: { a: { type: 'integer' } } };

describe('what the text has to be', () => {
  it.each([
    [{}, undefined],
    [{ response_format: { type: 'text' } }, undefined],
    [{ response_format: { type: 'json_object' } }, { kind: 'json', schema: { type: 'object' } }],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'n', strict: true, schema } } },
      { kind: 'json', schema },
    ],
    [{ structured_outputs: { json: schema } }, { kind: 'json', schema }],
    [{ structured_outputs: { json: JSON.stringify(schema) } }, { kind: 'json', schema }],
    [{ structured_outputs: { json_object: true } }, { kind: 'json', schema: { type: 'object' } }],
    [{ structured_outputs: { regex: 'a+' } }, { kind: 'regex', pattern: 'a+' }],
    [{ structured_outputs: { choice: ['a', 'b'] } }, { kind: 'choice', choices: ['a', 'b'] }],
    [{ structured_outputs: { grammar: 'root ::= "a"' } }, { kind: 'grammar', text: 'root ::= "a"' }],
    [{ guided_json: JSON.stringify(schema) }, { kind: 'json', schema }],
    [{ guided_json_object: true }, { kind: 'json', schema: { type: 'object' } }],
    [{ guided_regex: 'a+' }, { kind: 'regex', pattern: 'a+' }],
    [{ guided_choice: ['a'] }, { kind: 'choice', choices: ['a'] }],
    [{ guided_grammar: 'root ::= "a"' }, { kind: 'grammar', text: 'root ::= "a"' }],
  ])('%j', (fields, expected) => {
    const param = Object.keys(fields)[0];
    expect(structureOf(fields)).toEqual(expected && { param, ...expected });
  });

  it('leaves forms that only upstreams know to them', () => {
    expect(structureOf({ response_format: { type: 'structural_tag' } })).toBeUndefined();
    expect(structureOf({ structured_outputs: { structural_tag: '{}' } })).toBeUndefined();
  });

  it.each([
    [{ structured_outputs: { regex: 'a', choice: ['b'] } }, 'must ask for one thing only'],
    [{ guided_json: '{"type":' }, 'not valid JSON'],
    [{ guided_choice: [] }, 'at least one choice'],
    [{ guided_json: '['.repeat(1_000) + ']'.repeat(1_000) }, 'nested deeper'],
  ])('refuses %j', (fields, message) => {
    expect(() => structureOf(fields)).toThrow(message);
    try {
      structureOf(fields);
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_value', param: Object.keys(fields)[0] });
    }
  });
});

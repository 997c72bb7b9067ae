import { JSON_CHARACTER } from './regex-grammar.ts';
import type { Rules } from './rules.ts';

/**
 * Spacing is fixed, as Python's `json.dumps` has it: models know it well, and one that may write spaces wherever JSON allows
 * them may never stop.
 */
export const COMMA = '", "';
export const COLON = '": "';

const PRIMITIVES: Readonly<Record<string, string>> = {
  string: '"\\"" string_rest',
  string_rest: `"\\"" | ${JSON_CHARACTER} string_rest | "\\\\" string_escape string_rest`,
  string_escape: '["\\\\/bfnrt] | "u" [0-9a-fA-F]{4}',
  // As many digits and as large exponents as a double holds: 1e999 would be read as infinity.
  integer: '"-"? ("0" | [1-9] [0-9]{0,14})',
  number: '"-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [+-]? [0-9]{1,2})?',
  any: 'string | number | object | array | "true" | "false" | "null"',
  object: `"{" (string ${COLON} any object_rest)? "}"`,
  object_rest: `"" | ${COMMA} string ${COLON} any object_rest`,
  array: '"[" (any array_rest)? "]"',
  array_rest: `"" | ${COMMA} any array_rest`,
};
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  string: ['string_rest', 'string_escape'],
  any: ['string', 'number', 'object', 'array'],
  object: ['string', 'any', 'object_rest'],
  array: ['any', 'array_rest'],
};

/** The rule for any JSON value of a kind, with those it needs. Returns its name. */
export function primitive(rules: Rules, name: keyof typeof PRIMITIVES): string {
  if (!rules.has(name)) {
    rules.define(name, PRIMITIVES[name]!);
    for (const needed of NEEDS[name] ?? []) primitive(rules, needed);
  }
  return name;
}

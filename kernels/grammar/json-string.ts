import { GrammarError } from './grammar-error.ts';
import { primitive } from './json-primitives.ts';
import { countOf, type SchemaObject, unsupported } from './json-schema.ts';
import { parseRegex, type Regex } from './regex.ts';
import { isAnchored, JSON_CHARACTER, lengthsOf, regexGrammar, repeated } from './regex-grammar.ts';
import { intersection } from './regex-intersection.ts';
import type { AddRule, Rules } from './rules.ts';
import { STRING_FORMATS } from './string-formats.ts';
import { MOST_COUNTED, type StringLimits } from './string-limits.ts';

/** Where a string stands, and who counts its characters if the grammar does not. */
export interface StringPlace {
  readonly property: string | undefined;
  /** Undefined: the grammar counts all. */
  readonly limits: StringLimits | undefined;
}

/** JSON strings of a schema's `pattern`, `format` and lengths. */
export function stringGrammar(schema: SchemaObject, rules: Rules, { property, limits }: StringPlace): string {
  const min = countOf(schema, 'minLength', 0);
  const max = countOf(schema, 'maxLength', Number.POSITIVE_INFINITY);
  if (max < min) throw new GrammarError('has a `maxLength` below its `minLength`');
  const expression = expressionOf(schema, rules.add);
  if (expression !== undefined) {
    const { text, length } = expression;
    if (length.min < min || length.max > max) throw unsupported('pattern');
    limits?.need(property, length.max);
    return `"\\"" (${text}) "\\""`;
  }
  if (min === 0 && max === Number.POSITIVE_INFINITY) return primitive(rules, 'string');
  limits?.need(property, min);
  if (limits !== undefined && Number.isFinite(max) && max > MOST_COUNTED) {
    limits.limit(property, max);
    // With escapes: they count as one character each.
    return min === 0
      ? primitive(rules, 'string')
      : `"\\"" ${JSON_CHARACTER}{${min}} ${primitive(rules, 'string')}_rest`;
  }
  return max === 0 ? '"\\"\\""' : `"\\"" ${repeated(JSON_CHARACTER, min, max, rules.add)} "\\""`;
}

/** Of both, what fits both. A pattern that cannot be used gives way to a format that can: libraries send both for the same thing. */
function expressionOf(schema: SchemaObject, addRule: AddRule): { text: string; length: Lengths } | undefined {
  const format = STRING_FORMATS[String(schema.format)];
  if (schema.pattern === undefined) return format === undefined ? undefined : expression(format, addRule);
  if (typeof schema.pattern !== 'string') throw new GrammarError('has a `pattern` that is not a string');
  if (format === undefined) return expression(schema.pattern, addRule);
  const pattern = regexIfRegular(schema.pattern);
  if (pattern === undefined) return expression(format, addRule);
  const both = [pattern, parseRegex(format)] as const;
  const [one, other] = both.map(textLengths) as [Lengths, Lengths];
  return {
    text: intersection(...both, addRule),
    length: { min: Math.max(one.min, other.min), max: Math.min(one.max, other.max) },
  };
}

function regexIfRegular(pattern: string): Regex | undefined {
  try {
    return parseRegex(pattern);
  } catch (error) {
    if (error instanceof GrammarError) return undefined;
    throw error;
  }
}

interface Lengths {
  readonly min: number;
  readonly max: number;
}

/** Of the texts in which the expression is found. */
function textLengths(regex: Regex): Lengths {
  const length = lengthsOf(regex);
  return isAnchored(regex) ? length : { min: length.min, max: Number.POSITIVE_INFINITY };
}

function expression(pattern: string, addRule: AddRule): { text: string; length: Lengths } {
  const regex = parseRegex(pattern);
  return { text: regexGrammar(regex, 'json', true, addRule), length: textLengths(regex) };
}

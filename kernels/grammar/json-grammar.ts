import { literal } from './code-points.ts';
import { integerGrammar, numberGrammar } from './decimal-range.ts';
import { GrammarError } from './grammar-error.ts';
import { COLON, COMMA, primitive } from './json-primitives.ts';
import {
  constraints,
  countOf,
  intersect,
  itemsOf,
  listedBy,
  othersOf,
  propertiesOf,
  refuseUnsupported,
  requiredOf,
  resolveRef,
  type Schema,
  type SchemaObject,
  schemasOf,
  type TypeName,
  typesOf,
  unsupported,
} from './json-schema.ts';
import { areDisjoint, refuseEndless } from './json-schema-analysis.ts';
import { stringGrammar } from './json-string.ts';
import { boundsOf, impliedTypes, isWhole } from './json-types.ts';
import { ListedValues } from './listed-values.ts';
import { repeated } from './regex-grammar.ts';
import type { Rules } from './rules.ts';
import type { StringLimits } from './string-limits.ts';
import { textList } from './text-list.ts';

/** Schemas visited, those behind references once each. */
const MOST_SCHEMAS = 4_096;
const MOST_CHARS = 256 * 1_024;
const MOST_LEVELS = 200;
const MOST_EXCLUSIVE = 128;

/**
 * Turns JSON Schemas into rules whose texts are all valid under them. The texts may be fewer than the schema allows: objects
 * with `properties` have no others, an expression with lookaround is refused. What cannot be held to is refused too,
 * never ignored.
 */
export class JsonGrammar {
  readonly #rules: Rules;
  readonly #refs = new Map<string, string>();
  #root: Schema = true;
  readonly #limits: StringLimits | undefined;
  #property: string | undefined;
  #document = 0;
  #schemas = 0;

  /** `limits`: gets those that a grammar is slow for, which the reader of the texts has to see to. */
  constructor(rules: Rules, limits?: StringLimits) {
    this.#rules = rules;
    this.#limits = limits;
  }

  /** An expression for the JSON texts of a schema. Throws GrammarError. */
  add(schema: Schema): string {
    if (JSON.stringify(schema).length > MOST_CHARS)
      throw new GrammarError(`has more than ${MOST_CHARS} characters`);
    refuseEndless(schema);
    this.#root = schema;
    this.#document++;
    this.#property = undefined;
    return this.#value(schema, 0);
  }

  #value(schema: Schema, level: number): string {
    return this.#rules.short(this.#converted(schema, level));
  }

  #converted(schema: Schema, level: number): string {
    if (++this.#schemas > MOST_SCHEMAS) throw new GrammarError(`has more than ${MOST_SCHEMAS} parts`);
    if (level > MOST_LEVELS)
      throw new GrammarError('is nested too deeply, or has references that lead in circles');
    if (schema === false) throw new GrammarError('allows no value in some place');
    if (schema === true) return primitive(this.#rules, 'any');
    refuseUnsupported(schema);
    if (listedBy(schema) !== undefined) return this.#enumeration(schema);
    const { $ref, allOf, anyOf, oneOf, ...rest } = constraints(schema);
    if ($ref !== undefined)
      return this.#reference($ref, { ...rest, ...given({ allOf, anyOf, oneOf }) }, level);
    if (allOf !== undefined) {
      const all = schemasOf(schema, 'allOf').map((part) => this.#resolved(part, 0));
      return this.#value(all.reduce(intersect, { ...rest, ...given({ anyOf, oneOf }) }), level + 1);
    }
    if (anyOf !== undefined) return this.#choice(schema, 'anyOf', { ...rest, ...given({ oneOf }) }, level);
    if (oneOf !== undefined) return this.#choice(schema, 'oneOf', rest, level);
    return this.#typed(rest, level);
  }

  #reference($ref: unknown, beside: SchemaObject, level: number): string {
    const target = resolveRef(this.#root, $ref);
    if (Object.keys(beside).length > 0)
      return this.#value(intersect(this.#resolved(target, 0), beside), level + 1);
    const key = `${this.#document} ${$ref}`;
    return (
      this.#refs.get(key) ??
      this.#rules.add((name) => {
        this.#refs.set(key, name);
        return this.#in(undefined, () => this.#value(target, level + 1));
      })
    );
  }

  /** Without a reference at its top, so that it can be joined with another. */
  #resolved(schema: Schema, hops: number): Schema {
    if (++this.#schemas > MOST_SCHEMAS) throw new GrammarError(`has more than ${MOST_SCHEMAS} parts`);
    if (typeof schema === 'boolean' || schema.$ref === undefined) return schema;
    if (hops > 16) throw new GrammarError('has references that lead in circles');
    const { $ref, ...beside } = schema;
    return intersect(this.#resolved(resolveRef(this.#root, $ref), hops + 1), beside);
  }

  #choice(schema: SchemaObject, keyword: 'anyOf' | 'oneOf', beside: SchemaObject, level: number): string {
    const options = schemasOf(schema, keyword).filter((option) => option !== false);
    if (keyword === 'oneOf') {
      // Each is compared with every other.
      if (options.length > MOST_EXCLUSIVE) throw unsupported('oneOf');
      const resolved = options.map((option) => this.#resolved(option, 0));
      if (!areDisjoint(resolved, (option) => this.#resolved(option, 0))) throw unsupported('oneOf');
    }
    const joined =
      Object.keys(beside).length === 0
        ? options
        : options.map((option) => intersect(this.#resolved(option, 0), beside));
    if (joined.length === 0) throw new GrammarError('allows no value in some place');
    return alternatives(joined.map((option) => this.#value(option, level + 1)));
  }

  /** Those of the listed values that are valid under everything beside the list. */
  #enumeration(schema: SchemaObject): string {
    const listed = listedBy(schema);
    if (!Array.isArray(listed)) throw new GrammarError('has an `enum` that is not a list');
    const allowed = new ListedValues((each) => this.#resolved(each, 0));
    const values = listed.filter((value) => allowed.isValid(value, schema));
    if (values.length === 0)
      throw new GrammarError('has an `enum` or a `const` without a value that is allowed');
    return this.#listed(values);
  }

  #listed(values: readonly unknown[]): string {
    const texts = [...new Set(values.map((value) => JSON.stringify(value)))];
    for (const text of texts)
      this.#limits?.need(text.startsWith('"') ? this.#property : undefined, text.length);
    return textList(texts, this.#rules.add);
  }

  /** Converts what is in a property; undefined: in any. */
  #in(property: string | undefined, convert: () => string): string {
    const before = this.#property;
    this.#property = property;
    const text = convert();
    this.#property = before;
    return text;
  }

  #typed(schema: SchemaObject, level: number): string {
    const types = typesOf(schema) ?? impliedTypes(schema);
    if (types === undefined) return primitive(this.#rules, 'any');
    return alternatives(types.map((type) => this.#ofType(type, schema, level)));
  }

  #ofType(type: TypeName, schema: SchemaObject, level: number): string {
    switch (type) {
      case 'null':
        return '"null"';
      case 'boolean':
        return '("true" | "false")';
      case 'integer':
      case 'number':
        return this.#number(type, schema);
      case 'string':
        return stringGrammar(schema, this.#rules, { property: this.#property, limits: this.#limits });
      case 'array':
        return this.#array(schema, level);
      case 'object':
        return this.#object(schema, level);
    }
  }

  #number(type: 'integer' | 'number', schema: SchemaObject): string {
    const bounds = boundsOf(schema);
    const whole = type === 'integer' || isWhole(schema);
    if (bounds === undefined) return primitive(this.#rules, whole ? 'integer' : 'number');
    const text = whole ? integerGrammar(bounds) : numberGrammar(bounds);
    if (text === undefined) throw new GrammarError('has bounds with no number between them');
    return text;
  }

  #array(schema: SchemaObject, level: number): string {
    const { first, others = first.length === 0 } = itemsOf(schema);
    const min = countOf(schema, 'minItems', 0);
    const max = countOf(schema, 'maxItems', Number.POSITIVE_INFINITY);
    if (max < min) throw new GrammarError('has a `maxItems` below its `minItems`');
    if (first.length > max) throw unsupported('prefixItems');
    const items = first.map((item) => this.#value(item, level + 1));
    const open = others !== false && max > first.length;
    if (!open) {
      if (min > first.length) throw new GrammarError('has a `minItems` that it does not allow');
      return items.length === 0 ? '"[]"' : `"[" ${items.join(` ${COMMA} `)} "]"`;
    }
    const item = group(this.#value(others, level + 1));
    if (items.length > 0) {
      const more = this.#more(item, Math.max(0, min - first.length), max - first.length);
      return `"[" ${items.join(` ${COMMA} `)} ${more} "]"`;
    }
    const list = `${item} ${this.#more(item, Math.max(0, min - 1), max - 1)}`;
    return min > 0 ? `"[" ${list} "]"` : `"[" (${list})? "]"`;
  }

  #object(schema: SchemaObject, level: number): string {
    const additional = othersOf(schema);
    const properties = new Map(propertiesOf(schema));
    const required = new Set(requiredOf(schema));
    for (const name of required) if (!properties.has(name)) properties.set(name, additional);
    const min = countOf(schema, 'minProperties', 0);
    const max = countOf(schema, 'maxProperties', Number.POSITIVE_INFINITY);
    // Others would have to have other names than these, which a grammar cannot tell.
    if (properties.size > 0) {
      if (min > required.size) throw unsupported('minProperties');
      if (max < properties.size) throw unsupported('maxProperties');
      const usable = [...properties].filter(([name, value]) => value !== false || required.has(name));
      return this.#members(usable, required, level);
    }
    if (additional === false || max === 0) {
      if (min > 0) throw new GrammarError('has a `minProperties` that it does not allow');
      return '"{}"';
    }
    // Names may come twice, and count once.
    if (min > 1) throw unsupported('minProperties');
    if (additional === true && min === 0 && max === Number.POSITIVE_INFINITY)
      return primitive(this.#rules, 'object');
    const value = this.#in(undefined, () => this.#value(additional, level + 1));
    const member = `${primitive(this.#rules, 'string')} ${COLON} ${group(value)}`;
    const list = `${member} ${this.#more(member, 0, max - 1)}`;
    return min > 0 ? `"{" ${list} "}"` : `"{" (${list})? "}"`;
  }

  /**
   * In the order of the schema. Where some may be left out, a rule `first` goes on while nothing was written yet, and
   * a rule `next` after a member.
   */
  #members(
    properties: readonly (readonly [string, Schema])[],
    required: ReadonlySet<string>,
    level: number,
  ): string {
    const members = properties.map(
      ([name, value]) =>
        `${literal(JSON.stringify(name))} ${COLON} ${group(this.#in(name, () => this.#value(value, level + 1)))}`,
    );
    if (required.size === members.length) return `"{" ${members.join(` ${COMMA} `)} "}"`;
    let first: string | undefined;
    let next = '';
    for (let i = members.length - 1; i >= 0; i--) {
      const member = members[i]!;
      if (required.has(properties[i]![0])) {
        first = `${member} ${next}`;
        next = this.#named(`${COMMA} ${member} ${next}`);
      } else {
        first = this.#named(`${member} ${next} | ${first ?? '""'}`);
        next = this.#named(`(${COMMA} ${member})? ${next}`);
      }
    }
    return `"{" ${group(first ?? '')} "}"`;
  }

  #named(text: string): string {
    return this.#rules.add(() => text);
  }

  /** Further elements of a list. */
  #more(text: string, min: number, max: number): string {
    return max === 0 ? '' : repeated(`${COMMA} ${text}`, min, max, this.#rules.add);
  }
}

function given(keywords: SchemaObject): SchemaObject {
  return Object.fromEntries(Object.entries(keywords).filter(([, value]) => value !== undefined));
}

function alternatives(texts: readonly string[]): string {
  return texts.length === 1 ? texts[0]! : `(${texts.join(' | ')})`;
}

function group(text: string): string {
  return `(${text === '' ? '""' : text})`;
}

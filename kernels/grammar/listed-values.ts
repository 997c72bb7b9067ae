import { GrammarError } from './grammar-error.ts';
import {
  canonical,
  isObject,
  itemsOf,
  numberOf,
  othersOf,
  propertiesOf,
  refuseUnevaluated,
  refuseUnsupported,
  requiredOf,
  type Schema,
  type SchemaObject,
  schemasOf,
  typesOf,
} from './json-schema.ts';
import { boundsOf, isOf, isWhole } from './json-types.ts';
import { parseRegex, type Regex } from './regex.ts';
import { isFoundIn, type Spend } from './regex-search.ts';
import { STRING_FORMATS } from './string-formats.ts';

/** What all values of one list may take together: schemas looked at, characters and properties. */
const MOST_STEPS = 2_000_000;
const MOST_LEVELS = 200;

/** Resolves a reference at the top of a schema, joined with what stands beside it. */
type Resolve = (schema: Schema) => Schema;

/** A schema as it is looked at for each value: read once. */
interface Part {
  readonly schema: SchemaObject;
  /** The canonical texts that `const` and `enum` allow, each. */
  readonly lists: readonly ReadonlySet<string>[];
  readonly expressions: readonly Regex[];
  readonly properties: ReadonlyMap<string, Schema>;
  readonly required: readonly string[];
}

/**
 * Which of the values that a schema lists are valid under the other keywords beside the list; formats in the narrow form that grammars
 * write. However many values, the time that it takes is bounded.
 */
export class ListedValues {
  readonly #resolve: Resolve;
  readonly #parts = new Map<Schema, Part | boolean>();
  #steps = 0;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  /** Throws GrammarError for keywords that are not supported, for what is no keyword's value, and for what takes too long to tell. */
  isValid(value: unknown, schema: Schema): boolean {
    return this.#isValid(value, schema, 0);
  }

  #isValid(value: unknown, unresolved: Schema, level: number): boolean {
    if (level > MOST_LEVELS) throw new GrammarError('lists values under references that lead in circles');
    this.#spend(1);
    const part = this.#partOf(unresolved);
    if (typeof part === 'boolean') return part;
    const { schema, lists } = part;
    const under = (each: Schema) => this.#isValid(value, each, level + 1);
    if (lists.length > 0) {
      const text = canonical(value);
      this.#spend(text.length);
      if (!lists.every((list) => list.has(text))) return false;
    }
    if (typesOf(schema)?.some((type) => isOf(value, type)) === false) return false;
    if (schema.allOf !== undefined && !schemasOf(schema, 'allOf').every(under)) return false;
    if (schema.anyOf !== undefined && !schemasOf(schema, 'anyOf').some(under)) return false;
    if (schema.oneOf !== undefined && schemasOf(schema, 'oneOf').filter(under).length !== 1) return false;
    if (typeof value === 'number') return isValidNumber(value, schema);
    if (typeof value === 'string') return this.#isValidString(value, part);
    if (Array.isArray(value)) return this.#isValidArray(value, schema, level);
    return !isObject(value) || this.#isValidObject(value, part, level);
  }

  #isValidString(value: string, { schema, expressions }: Part): boolean {
    this.#spend(value.length);
    const characters = [...value];
    if (!isWithin(characters.length, schema, 'minLength', 'maxLength')) return false;
    return expressions.every((expression) => isFoundIn(characters, expression, this.#spend));
  }

  #isValidArray(value: readonly unknown[], schema: SchemaObject, level: number): boolean {
    if (!isWithin(value.length, schema, 'minItems', 'maxItems')) return false;
    const { first, others = true } = itemsOf(schema);
    return value.every((item, i) => this.#isValid(item, first[i] ?? others, level + 1));
  }

  #isValidObject(value: SchemaObject, { schema, properties, required }: Part, level: number): boolean {
    const entries = Object.entries(value);
    this.#spend(entries.length);
    if (!isWithin(entries.length, schema, 'minProperties', 'maxProperties')) return false;
    if (!required.every((name) => Object.hasOwn(value, name))) return false;
    const others = othersOf(schema);
    return entries.every(([name, each]) => this.#isValid(each, properties.get(name) ?? others, level + 1));
  }

  #partOf(unresolved: Schema): Part | boolean {
    let part = this.#parts.get(unresolved);
    if (part === undefined) {
      const schema = this.#resolve(unresolved);
      part = typeof schema === 'boolean' ? schema : newPart(schema);
      this.#parts.set(unresolved, part);
    }
    return part;
  }

  readonly #spend: Spend = (steps) => {
    this.#steps += steps;
    if (this.#steps > MOST_STEPS) throw new GrammarError('lists values that take too long to check');
  };
}

function newPart(schema: SchemaObject): Part {
  refuseUnsupported(schema);
  if (schema.allOf !== undefined || schema.anyOf !== undefined || schema.oneOf !== undefined)
    refuseUnevaluated(schema);
  const lists = [Object.hasOwn(schema, 'const') ? [schema.const] : undefined, schema.enum];
  const expressions = [schema.pattern, STRING_FORMATS[String(schema.format)]];
  return {
    schema,
    lists: lists.filter((list) => Array.isArray(list)).map((list) => new Set(list.map(canonical))),
    expressions: expressions.filter((text) => typeof text === 'string').map(parseRegex),
    properties: new Map(propertiesOf(schema)),
    required: requiredOf(schema),
  };
}

function isValidNumber(value: number, schema: SchemaObject): boolean {
  if (isWhole(schema) && !Number.isInteger(value)) return false;
  const bounds = boundsOf(schema);
  if (bounds === undefined) return true;
  const { min, max, aboveMin, belowMax } = bounds;
  return (aboveMin ? value > min : value >= min) && (belowMax ? value < max : value <= max);
}

function isWithin(size: number, schema: SchemaObject, least: string, most: string): boolean {
  return size >= (numberOf(schema, least) ?? 0) && size <= (numberOf(schema, most) ?? size);
}

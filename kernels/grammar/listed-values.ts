import { GrammarError } from './grammar-error.ts';
import {
  asSchema,
  isObject,
  numberOf,
  propertiesOf,
  requiredOf,
  type Schema,
  type SchemaObject,
  schemasOf,
  typesOf,
} from './json-schema.ts';
import { boundsOf, isOf } from './json-types.ts';
import { STRING_FORMATS } from './string-formats.ts';

/** Resolves a reference at the top of a schema, joined with what stands beside it. */
type Resolve = (schema: Schema) => Schema;

/**
 * Whether a value that a schema lists is valid under the other keywords beside the list, of those that are supported; formats in
 * the narrow form that grammars write. Throws GrammarError for keywords that are no keywords' values.
 */
export function isValid(value: unknown, unresolved: Schema, resolve: Resolve): boolean {
  const schema = resolve(unresolved);
  if (typeof schema === 'boolean') return schema;
  const under = (each: Schema) => isValid(value, each, resolve);
  if (Object.hasOwn(schema, 'const') && !isSame(value, schema.const)) return false;
  if (Array.isArray(schema.enum) && !schema.enum.some((each) => isSame(value, each))) return false;
  if (typesOf(schema)?.some((type) => isOf(value, type)) === false) return false;
  if (schema.allOf !== undefined && !schemasOf(schema, 'allOf').every(under)) return false;
  if (schema.anyOf !== undefined && !schemasOf(schema, 'anyOf').some(under)) return false;
  if (schema.oneOf !== undefined && schemasOf(schema, 'oneOf').filter(under).length !== 1) return false;
  if (typeof value === 'number') return isValidNumber(value, schema);
  if (typeof value === 'string') return isValidString(value, schema);
  if (Array.isArray(value)) return isValidArray(value, schema, resolve);
  return !isObject(value) || isValidObject(value, schema, resolve);
}

/** Whether two JSON values are the same, in whatever order their properties stand. */
export function isSame(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

/** A text that values which are the same share. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    isObject(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each,
  );
}

function isValidNumber(value: number, schema: SchemaObject): boolean {
  if (schema.multipleOf === 1 && !Number.isInteger(value)) return false;
  const bounds = boundsOf(schema);
  if (bounds === undefined) return true;
  const { min, max, aboveMin, belowMax } = bounds;
  return (aboveMin ? value > min : value >= min) && (belowMax ? value < max : value <= max);
}

function isValidString(value: string, schema: SchemaObject): boolean {
  if (!isWithin([...value].length, schema, 'minLength', 'maxLength')) return false;
  if (typeof schema.pattern === 'string' && !expression(schema.pattern).test(value)) return false;
  const format = STRING_FORMATS[String(schema.format)];
  return format === undefined || new RegExp(format, 'u').test(value);
}

function expression(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'u');
  } catch (error) {
    throw new GrammarError(`has the pattern ${JSON.stringify(pattern)}, which is no expression`, {
      cause: error,
    });
  }
}

function isValidArray(value: readonly unknown[], schema: SchemaObject, resolve: Resolve): boolean {
  if (!isWithin(value.length, schema, 'minItems', 'maxItems')) return false;
  const isTuple = Array.isArray(schema.items);
  const first = (isTuple ? schema.items : (schema.prefixItems ?? [])) as unknown[];
  const others = asSchema((isTuple ? schema.additionalItems : schema.items) ?? true);
  return value.every((item, i) => isValid(item, i < first.length ? asSchema(first[i]) : others, resolve));
}

function isValidObject(value: SchemaObject, schema: SchemaObject, resolve: Resolve): boolean {
  const entries = Object.entries(value);
  if (!isWithin(entries.length, schema, 'minProperties', 'maxProperties')) return false;
  if (!requiredOf(schema).every((name) => Object.hasOwn(value, name))) return false;
  const properties = new Map(propertiesOf(schema));
  const others = asSchema(schema.additionalProperties ?? true);
  return entries.every(([name, each]) => isValid(each, properties.get(name) ?? others, resolve));
}

function isWithin(size: number, schema: SchemaObject, least: string, most: string): boolean {
  return size >= (numberOf(schema, least) ?? 0) && size <= (numberOf(schema, most) ?? size);
}

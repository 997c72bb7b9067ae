import type { Bounds } from './decimal-range.ts';
import { isObject, numberOf, type SchemaObject, type TypeName } from './json-schema.ts';
import { STRING_FORMATS } from './string-formats.ts';

/** A schema without `type` that speaks of one type means it: any other value would pass unlooked at. */
export function impliedTypes(schema: SchemaObject): readonly TypeName[] | undefined {
  const has = (...keywords: string[]) => keywords.some((keyword) => schema[keyword] !== undefined);
  if (
    has('properties', 'required', 'additionalProperties', 'unevaluatedProperties') ||
    has('minProperties', 'maxProperties')
  )
    return ['object'];
  if (has('items', 'prefixItems', 'unevaluatedItems', 'minItems', 'maxItems')) return ['array'];
  if (has('pattern', 'minLength', 'maxLength') || STRING_FORMATS[String(schema.format)]) return ['string'];
  return boundsOf(schema) === undefined ? undefined : ['number'];
}

/** OpenAPI's formats of whole numbers, with the least and the greatest of each. */
const WHOLE_FORMATS: Readonly<Record<string, readonly [least: number, greatest: number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 63), 2 ** 63 - 1],
};

/** Whether a schema of numbers allows whole ones only, by other means than its type. */
export function isWhole({ multipleOf, format }: SchemaObject): boolean {
  return multipleOf === 1 || Object.hasOwn(WHOLE_FORMATS, String(format));
}

/** Whether a JSON value is of a schema's type. */
export function isOf(value: unknown, type: TypeName): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

/** What a schema says of a number; undefined where nothing that matters. */
export function boundsOf(schema: SchemaObject): Bounds | undefined {
  const [least, greatest] = WHOLE_FORMATS[String(schema.format)] ?? [-Infinity, Infinity];
  const minimum = Math.max(numberOf(schema, 'minimum') ?? least, least);
  const maximum = Math.min(numberOf(schema, 'maximum') ?? greatest, greatest);
  const above = numberOf(schema, 'exclusiveMinimum') ?? Number.NEGATIVE_INFINITY;
  const below = numberOf(schema, 'exclusiveMaximum') ?? Number.POSITIVE_INFINITY;
  const min = Math.max(minimum, above);
  const max = Math.min(maximum, below);
  const isSafe = (bound: number) => Math.abs(bound) >= Number.MAX_SAFE_INTEGER;
  if (isSafe(min) && isSafe(max) && min < 0 && max > 0) return undefined;
  return { min, max, aboveMin: above >= minimum, belowMax: below <= maximum };
}

import { GrammarError } from './grammar-error.ts';

export type SchemaObject = Readonly<Record<string, unknown>>;
export type Schema = SchemaObject | boolean;

/** Keywords that restrict what is valid and that no grammar here can hold to. Silence would be a broken promise. */
const UNSUPPORTED = [
  'not',
  'if',
  'then',
  'else',
  'contains',
  'dependencies',
  'dependentRequired',
  'dependentSchemas',
  '$dynamicRef',
  '$recursiveRef',
];

const TYPES = ['string', 'integer', 'number', 'boolean', 'null', 'object', 'array'] as const;
export type TypeName = (typeof TYPES)[number];

/** What says nothing about validity, or only where another keyword is. */
const ANNOTATIONS = new Set([
  ...['title', 'description', 'default', 'examples', 'example', 'deprecated', 'readOnly', 'writeOnly'],
  ...['$schema', '$id', '$comment', '$defs', 'definitions', '$anchor', 'contentEncoding', 'contentMediaType'],
]);

export function isObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asSchema(value: unknown): Schema {
  if (typeof value === 'boolean' || isObject(value)) return value;
  throw new GrammarError('has something that is neither an object nor a boolean where a schema belongs');
}

/** The keywords of a schema that restrict, annotations left out. */
export function constraints(schema: SchemaObject): SchemaObject {
  return Object.fromEntries(
    Object.entries(schema).filter(([key, value]) => !ANNOTATIONS.has(key) && value !== undefined),
  );
}

/** Throws for keywords that would have to be ignored. */
export function refuseUnsupported(schema: SchemaObject): void {
  const found = UNSUPPORTED.find((keyword) => Object.hasOwn(schema, keyword));
  if (found !== undefined) throw unsupported(found);
  if (schema.uniqueItems === true) throw unsupported('uniqueItems');
  if (schema.multipleOf !== undefined && schema.multipleOf !== 1) throw unsupported('multipleOf');
  if (isObject(schema.patternProperties) && Object.keys(schema.patternProperties).length > 0)
    throw unsupported('patternProperties');
  const names = schema.propertyNames;
  const allowsNames = names === undefined || names === true || (isObject(names) && allowsStrings(names));
  if (!allowsNames) throw unsupported('propertyNames');
}

function allowsStrings(schema: SchemaObject): boolean {
  const { type, ...others } = constraints(schema);
  return Object.keys(others).length === 0 && (type === undefined || [type].flat().includes('string'));
}

export function unsupported(keyword: string): GrammarError {
  return new GrammarError(`uses \`${keyword}\` in a way that is not supported`);
}

/** Undefined: any type. */
export function typesOf(schema: SchemaObject): readonly TypeName[] | undefined {
  const { type } = schema;
  if (type === undefined) return undefined;
  const names = Array.isArray(type) ? type : [type];
  for (const name of names)
    if (!TYPES.includes(name)) throw new GrammarError(`has the unknown type ${JSON.stringify(name)}`);
  return names as TypeName[];
}

export function numberOf(schema: SchemaObject, keyword: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new GrammarError(`has a \`${keyword}\` that is not a number`);
  return value;
}

/** A length or count. */
export function countOf(schema: SchemaObject, keyword: string, otherwise: number): number {
  const value = numberOf(schema, keyword) ?? otherwise;
  if (Number.isFinite(value) && !Number.isInteger(value))
    throw new GrammarError(`has a \`${keyword}\` that is not a whole number`);
  if (value < 0) throw new GrammarError(`has a negative \`${keyword}\``);
  return value;
}

export function schemasOf(schema: SchemaObject, keyword: string): readonly Schema[] {
  const value = schema[keyword];
  if (!Array.isArray(value) || value.length === 0)
    throw new GrammarError(`has an \`${keyword}\` that is not a list of schemas`);
  return value.map(asSchema);
}

export function propertiesOf(schema: SchemaObject): readonly (readonly [string, Schema])[] {
  const { properties } = schema;
  if (properties === undefined) return [];
  if (!isObject(properties)) throw new GrammarError('has `properties` that are not an object');
  return Object.entries(properties).map(([name, value]) => [name, asSchema(value)]);
}

/** What is said of properties that are not named. */
export function othersOf(schema: SchemaObject): Schema {
  return asSchema(schema.additionalProperties ?? schema.unevaluatedProperties ?? true);
}

/** What is said of an array's first items, in order, and of those behind them, if anything is. */
export function itemsOf(schema: SchemaObject): {
  readonly first: readonly Schema[];
  readonly others: Schema | undefined;
} {
  const isTuple = Array.isArray(schema.items);
  const first = ((isTuple ? schema.items : schema.prefixItems) ?? []) as unknown[];
  const others = (isTuple ? schema.additionalItems : schema.items) ?? schema.unevaluatedItems;
  return { first: first.map(asSchema), others: others === undefined ? undefined : asSchema(others) };
}

export function requiredOf(schema: SchemaObject): readonly string[] {
  const { required } = schema;
  if (required === undefined) return [];
  if (!Array.isArray(required) || required.some((name) => typeof name !== 'string'))
    throw new GrammarError('has a `required` that is not a list of names');
  return [...new Set(required as string[])];
}

/** The values that a schema lists, if it does: a list, unless `enum` is something else. */
export function listedBy(schema: SchemaObject): unknown {
  return Object.hasOwn(schema, 'const') ? [schema.const] : schema.enum;
}

/** A text that values which are the same share, in whatever order their properties stand. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    isObject(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each,
  );
}

/** What a `$ref` within the document stands for. */
export function resolveRef(root: Schema, ref: unknown): Schema {
  if (typeof ref !== 'string' || !ref.startsWith('#'))
    throw new GrammarError(
      `has the reference ${JSON.stringify(ref)}; only those within the schema are supported`,
    );
  let at: unknown = root;
  for (const step of ref.split('/').slice(1)) {
    const key = decodeStep(step);
    const holds = typeof at === 'object' && at !== null && Object.hasOwn(at, key);
    if (!holds) throw new GrammarError(`has the reference ${JSON.stringify(ref)}, which leads nowhere`);
    at = (at as Record<string, unknown>)[key];
  }
  if (ref !== '#' && !ref.startsWith('#/'))
    throw new GrammarError(`has the reference ${JSON.stringify(ref)}; only paths are supported`);
  return asSchema(at);
}

function decodeStep(step: string): string {
  try {
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return step;
  }
}

/**
 * Both at once, where that is a schema again: what `allOf` and keywords beside `anyOf` mean. Throws GrammarError where it
 * would take more than joining.
 */
export function intersect(a: Schema, b: Schema): Schema {
  if (a === true) return b;
  if (b === true) return a;
  if (a === false || b === false) return false;
  refuseEntangled(a, b);
  const joined: Record<string, unknown> = { ...constraints(a) };
  for (const [key, value] of Object.entries(constraints(b))) {
    const own = joined[key];
    if (own === undefined || JSON.stringify(own) === JSON.stringify(value)) joined[key] = value;
    else joined[key] = intersectKeyword(key, own, value);
  }
  return closed(joined, a, b);
}

function intersectKeyword(key: string, a: unknown, b: unknown): unknown {
  switch (key) {
    case 'type': {
      const [left, right] = [[a].flat(), [b].flat()] as [string[], string[]];
      const common = left.flatMap((type) => {
        if (right.includes(type)) return [type];
        if (type === 'integer' && right.includes('number')) return [type];
        return type === 'number' && right.includes('integer') ? ['integer'] : [];
      });
      if (common.length === 0) throw new GrammarError('asks for two types at once');
      return common;
    }
    case 'properties': {
      const [left, right] = [a as SchemaObject, b as SchemaObject];
      const both = Object.keys(left).filter((name) => Object.hasOwn(right, name));
      return {
        ...left,
        ...right,
        ...Object.fromEntries(both.map((name) => [name, { allOf: [left[name], right[name]] }])),
      };
    }
    case 'required':
      return [...new Set([...(a as string[]), ...(b as string[])])];
    case 'enum': {
      const texts = new Set((b as unknown[]).map(canonical));
      return (a as unknown[]).filter((value) => texts.has(canonical(value)));
    }
    case 'minimum':
    case 'exclusiveMinimum':
    case 'minLength':
    case 'minItems':
    case 'minProperties':
      return Math.max(a as number, b as number);
    case 'maximum':
    case 'exclusiveMaximum':
    case 'maxLength':
    case 'maxItems':
    case 'maxProperties':
      return Math.min(a as number, b as number);
    case 'additionalProperties':
      if (a === false || b === false) return false;
      return a === true ? b : b === true ? a : { allOf: [a, b] };
    case 'items':
      return { allOf: [a, b] };
    default:
      throw unsupported(key);
  }
}

/** Throws for what would have to know of the schemas that stand beside it. */
export function refuseUnevaluated(schema: SchemaObject): void {
  const found = ['unevaluatedProperties', 'unevaluatedItems'].find((key) => schema[key] !== undefined);
  if (found !== undefined) throw unsupported(found);
}

/** Throws for what reaches from one side into the other in ways that joining would lose. */
function refuseEntangled(a: SchemaObject, b: SchemaObject): void {
  refuseUnevaluated(a);
  refuseUnevaluated(b);
  const isTuple = ({ items, prefixItems }: SchemaObject) => prefixItems !== undefined || Array.isArray(items);
  if ((isTuple(a) && b.items !== undefined) || (isTuple(b) && a.items !== undefined))
    throw unsupported('items');
}

/**
 * What one side says of properties that it does not name holds for those that only the other names: they are left out if it allows
 * none; those cannot be required.
 */
function closed(joined: Record<string, unknown>, a: SchemaObject, b: SchemaObject): SchemaObject {
  const sides = [a, b].filter(({ additionalProperties: others }) => others !== undefined && others !== true);
  if (sides.length === 0 || joined.properties === undefined) return joined;
  const properties = propertiesOf(joined).flatMap(([name, value]) => {
    const others = sides
      .filter((side) => !propertiesOf(side).some(([own]) => own === name))
      .map((side) => side.additionalProperties);
    if (others.includes(false)) return [];
    return [[name, others.length === 0 ? value : { allOf: [value, ...others] }] as const];
  });
  return { ...joined, properties: Object.fromEntries(properties) };
}

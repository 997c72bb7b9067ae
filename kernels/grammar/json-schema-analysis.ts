import { GrammarError } from './grammar-error.ts';
import {
  asSchema,
  canonical,
  isObject,
  listedBy,
  propertiesOf,
  requiredOf,
  resolveRef,
  type Schema,
  type SchemaObject,
} from './json-schema.ts';

const MOST_REFS = 512;
const MOST_VISITS = 500_000;

/**
 * Throws GrammarError when a schema that is referred to has no finite value, such as a list node whose next node is
 * required: a model that began to write one could never end.
 */
export function refuseEndless(root: Schema): void {
  const refs = new Map<string, Schema>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item);
    if (!isObject(value)) return;
    if (typeof value.$ref === 'string' && !refs.has(value.$ref))
      refs.set(value.$ref, resolveRef(root, value.$ref));
    for (const item of Object.values(value)) visit(item);
  };
  visit(root);
  if (refs.size > MOST_REFS) throw new GrammarError(`has more than ${MOST_REFS} different references`);
  const budget = { visits: MOST_VISITS };
  const finite = new Set<string>();
  for (let before = -1; before < finite.size; ) {
    before = finite.size;
    for (const [ref, schema] of refs)
      if (!finite.has(ref) && hasFinite(schema, finite, budget)) finite.add(ref);
  }
  const endless = [...refs.keys()].find((ref) => !finite.has(ref));
  if (endless !== undefined)
    throw new GrammarError(`refers to ${JSON.stringify(endless)}, of which there is no finite value`);
}

function hasFinite(schema: unknown, finite: ReadonlySet<string>, budget: { visits: number }): boolean {
  if (--budget.visits < 0) throw new GrammarError('has references that are too entangled');
  if (!isObject(schema)) return schema !== false;
  if (typeof schema.$ref === 'string' && !finite.has(schema.$ref)) return false;
  if (listedBy(schema) !== undefined) return true;
  for (const keyword of ['anyOf', 'oneOf'] as const) {
    const options = schema[keyword];
    if (Array.isArray(options) && !options.some((option) => hasFinite(option, finite, budget))) return false;
  }
  if (Array.isArray(schema.allOf) && !schema.allOf.every((part) => hasFinite(part, finite, budget)))
    return false;
  const types = [schema.type].flat();
  if (types.some((type) => type !== undefined && type !== 'object' && type !== 'array')) return true;
  const properties = new Map(propertiesOf(schema));
  if (!requiredOf(schema).every((name) => hasFinite(properties.get(name) ?? true, finite, budget)))
    return false;
  // Elements of a tuple are always written, even where they might be left out.
  const tuple = Array.isArray(schema.items) ? schema.items : schema.prefixItems;
  if (Array.isArray(tuple) && !tuple.every((item) => hasFinite(item, finite, budget))) return false;
  const needsItems = typeof schema.minItems === 'number' && schema.minItems > 0;
  return !needsItems || Array.isArray(schema.items) || hasFinite(schema.items ?? true, finite, budget);
}

/** Whether no value can be valid under two of the schemas. May say no where the answer is yes. */
export function areDisjoint(schemas: readonly Schema[], resolve: (schema: Schema) => Schema): boolean {
  return schemas.every((a, i) => schemas.slice(i + 1).every((b) => disjoint(a, b, resolve)));
}

function disjoint(a: Schema, b: Schema, resolve: (schema: Schema) => Schema): boolean {
  if (a === false || b === false) return true;
  if (a === true || b === true) return false;
  const [left, right] = [valuesOf(a), valuesOf(b)];
  if (left !== undefined && right !== undefined) return !left.some((value) => right.includes(value));
  const [leftTypes, rightTypes] = [kindsOf(a), kindsOf(b)];
  if (leftTypes !== undefined && rightTypes !== undefined && !leftTypes.some((t) => rightTypes.includes(t)))
    return true;
  const others = new Map(propertiesOf(b));
  const required = requiredOf(b);
  return propertiesOf(a).some(([name, value]) => {
    const other = others.get(name);
    if (other === undefined || !requiredOf(a).includes(name) || !required.includes(name)) return false;
    const [own, its] = [valuesOf(resolve(value)), valuesOf(resolve(other))];
    return own !== undefined && its !== undefined && !own.some((v) => its.includes(v));
  });
}

/** As JSON texts, where they are listed. */
function valuesOf(schema: Schema): readonly string[] | undefined {
  if (typeof schema === 'boolean') return undefined;
  const listed = listedBy(schema);
  return Array.isArray(listed) ? listed.map(canonical) : undefined;
}

function kindsOf(schema: SchemaObject): readonly string[] | undefined {
  const listed = valuesOf(asSchema(schema));
  if (listed !== undefined) return listed.map((text) => kindOfValue(JSON.parse(text)));
  if (schema.type === undefined) return undefined;
  return [schema.type].flat().map((type) => (type === 'integer' ? 'number' : String(type)));
}

function kindOfValue(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

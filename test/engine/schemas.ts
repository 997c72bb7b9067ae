import { z } from 'zod';

type Schema = Record<string, unknown> | boolean;

function object(properties: Record<string, Schema>, required = Object.keys(properties)): Schema {
  return { type: 'object', properties, required, additionalProperties: false };
}

const text = (maxLength: number): Schema => ({ type: 'string', maxLength });
const strings = (formats: readonly string[]): Schema =>
  object(Object.fromEntries(formats.map((format) => [format, { type: 'string', format }])));

/** Each with every kind of constraint in some place that an engine has to hold to. All of their texts can be short. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  person: object({ name: text(20), age: { type: 'integer', minimum: 0, maximum: 120 } }),
  'no required': object({ a: { type: 'integer' }, b: { type: 'boolean' }, c: { type: 'null' } }, []),
  'some required': object({ a: { type: 'integer' }, b: { type: 'boolean' }, c: text(3), d: { const: 1 } }, [
    'b',
    'd',
  ]),
  nested: object({ a: object({ b: object({ c: object({ d: text(4) }) }) }), e: { type: 'boolean' } }),
  'array of objects': {
    type: 'array',
    items: object({ id: { type: 'integer' }, ok: { type: 'boolean' } }),
    minItems: 1,
    maxItems: 3,
  },
  'exact count': {
    type: 'array',
    items: { type: 'integer', minimum: 0, maximum: 9 },
    minItems: 4,
    maxItems: 4,
  },
  'no items': object({ list: { type: 'array', items: text(2), maxItems: 0 } }),
  tuple: { type: 'array', prefixItems: [text(5), { type: 'integer' }, { type: 'null' }], items: false },
  'tuple and more': {
    type: 'array',
    prefixItems: [{ type: 'boolean' }],
    items: { type: 'null' },
    minItems: 3,
    maxItems: 4,
  },
  enum: { enum: ['red', 'green', 'deep blue'] },
  'enum of all kinds': { enum: [1, null, true, 'x', 2.5] },
  'enum with a type': { type: 'string', enum: ['a', 'b', 3] },
  const: object({ kind: { const: 'thing' }, n: { const: 42 } }),
  'quotes and breaks': { enum: ['say "hi"', 'two\nlines', 'back\\slash', 'tab\t', '</tool_call>'] },
  unicode: object({ ключ: { enum: ['значение', '值', '🦊'] }, 'a "b" \\': { type: 'boolean' } }),
  'unicode text': object({ t: { type: 'string', minLength: 3, maxLength: 12 } }),
  anyOf: { anyOf: [{ type: 'integer' }, object({ k: { const: 'a' } }), { type: 'null' }] },
  'anyOf beside properties': {
    type: 'object',
    properties: { a: { type: 'integer' }, b: { type: 'boolean' } },
    anyOf: [{ required: ['a'] }, { required: ['b'] }],
  },
  oneOf: {
    oneOf: [
      object({ kind: { const: 'circle' }, radius: { type: 'integer' } }),
      object({ kind: { const: 'square' }, side: { type: 'integer' } }),
    ],
  },
  allOf: {
    allOf: [
      { $ref: '#/$defs/named' },
      { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
    ],
    $defs: { named: { type: 'object', properties: { name: text(5) }, required: ['name'] } },
  },
  'several types': object({ v: { type: ['integer', 'null', 'boolean'] } }),
  $ref: {
    $ref: '#/$defs/pair',
    $defs: { pair: object({ l: { $ref: '#/$defs/n' }, r: { $ref: '#/$defs/n' } }), n: { type: 'integer' } },
  },
  definitions: object({ x: { $ref: '#/definitions/colour~1name' } }) && {
    ...(object({ x: { $ref: '#/definitions/colour~1name' } }) as object),
    definitions: { 'colour/name': { enum: ['red', 'blue'] } },
  },
  list: object({ v: { type: 'boolean' }, next: { anyOf: [{ type: 'null' }, { $ref: '#' }] } }),
  tree: {
    $ref: '#/$defs/node',
    $defs: {
      node: object({
        v: { type: 'integer' },
        kids: { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 1 },
      }),
    },
  },
  pattern: { type: 'string', pattern: '^[A-Z]{3}-\\d{2,4}$' },
  'pattern of alternatives': { type: 'string', pattern: '^\\d{1,4}px$|^\\d{1,3}%$' },
  'pattern with quotes': { type: 'string', pattern: '^["\\\\]{1,2}é?(foo|bar)$' },
  'pattern of words': { type: 'string', pattern: '^\\w{1,8}( [^\\s"]{1,6}){1,2}\\.$' },
  'dates and times': strings(['date', 'time', 'date-time']),
  addresses: strings(['email', 'ipv4', 'hostname']),
  identifiers: strings(['uuid']),
  locations: strings(['uri']),
  'integers below zero': { type: 'integer', minimum: -17, maximum: -3 },
  'exclusive integers': { type: 'integer', exclusiveMinimum: -5, exclusiveMaximum: 105 },
  'a number': { type: 'number', minimum: 0.5, maximum: 2.5 },
  'a small number': { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 0.01 },
  'a number above': { type: 'number', minimum: -1.5 },
  map: {
    type: 'object',
    additionalProperties: { type: 'integer', minimum: 0, maximum: 9 },
    minProperties: 1,
    maxProperties: 3,
  },
  'long texts': object({
    title: text(40),
    tags: { type: 'array', items: text(25), minItems: 2, maxItems: 2 },
    inner: object({ body: { type: 'string', minLength: 20, maxLength: 120 }, title: { type: 'string' } }),
  }),
  'a long text at the root': { type: 'string', maxLength: 70 },
  'long texts of one name': object({
    id: text(20),
    inner: object({ id: { type: 'string', format: 'uuid' } }),
  }),
  'odd names': object({ constructor: { type: 'null' }, toString: { type: 'boolean' }, '': { const: 0 } }),
  'required only': { type: 'object', required: ['q'], properties: { q: { type: 'boolean' } } },
  zod: z.toJSONSchema(
    z.object({
      id: z.uuid(),
      at: z.iso.date(),
      score: z.number().min(0).max(1),
      tags: z.array(z.enum(['a', 'b'])).max(3),
      shape: z.discriminatedUnion('type', [
        z.object({ type: z.literal('dot') }),
        z.object({ type: z.literal('line'), length: z.int().min(1).max(99) }),
      ]),
      note: z.string().max(5).nullable(),
      more: z.boolean().optional(),
    }),
  ) as Schema,
};

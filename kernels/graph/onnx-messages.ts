import { bytesField, floatField, integerField } from './protobuf.ts';

/** ONNX `TensorProto.DataType` numbers. */
export const ELEMENT_TYPE = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, float16: 10 } as const;

export type ElementType = keyof typeof ELEMENT_TYPE;

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  float16: 2,
};

/** An attribute: integers and floats look alike in JavaScript, so floats are marked. Arrays are of integers. */
export type Attribute = number | string | { readonly float: number } | readonly number[];

export const CONTRIB_DOMAIN = 'com.microsoft';

/** Operators of ONNX Runtime's own domain. */
const CONTRIB_OPERATORS: ReadonlySet<string> = new Set([
  'FastGelu',
  'GatherBlockQuantized',
  'Gelu',
  'GroupQueryAttention',
  'MatMulIntegerToFloat',
  'MatMulNBits',
  'QuickGelu',
  'SkipSimplifiedLayerNormalization',
]);

/** A NodeProto. Empty names stand for inputs or outputs left out. */
export function nodeProto(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
): Buffer {
  const name = `${outputs.find((output) => output !== '')}/${operator}`;
  const fields = [
    ...inputs.map((input) => bytesField(1, input)),
    ...outputs.map((output) => bytesField(2, output)),
    bytesField(3, name),
    bytesField(4, operator),
    ...Object.entries(attributes).map(([key, value]) => bytesField(5, attributeProto(key, value))),
  ];
  if (CONTRIB_OPERATORS.has(operator)) fields.push(bytesField(7, CONTRIB_DOMAIN));
  return Buffer.concat(fields);
}

/** A TensorProto; `content` says what it holds, or where that lies. */
export function tensorProto(
  name: string,
  type: ElementType,
  dims: readonly number[],
  ...content: readonly Buffer[]
): Buffer {
  return Buffer.concat([
    ...dims.map((dim) => integerField(1, dim)),
    integerField(2, ELEMENT_TYPE[type]),
    bytesField(8, name),
    ...content,
  ]);
}

/** The type codes are FLOAT 1, INT 2, STRING 3, INTS 7 of AttributeProto. */
function attributeProto(name: string, value: Attribute): Buffer {
  const label = bytesField(1, name);
  if (typeof value === 'string') return Buffer.concat([label, bytesField(4, value), integerField(20, 3)]);
  if (typeof value === 'number') return Buffer.concat([label, integerField(3, value), integerField(20, 2)]);
  if ('float' in value) return Buffer.concat([label, floatField(2, value.float), integerField(20, 1)]);
  return Buffer.concat([label, ...value.map((each) => integerField(8, each)), integerField(20, 7)]);
}

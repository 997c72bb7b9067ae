import type { ExternalData, ExternalRegion } from './external-data.ts';
import { bytesField, floatField, integerField } from './protobuf.ts';

/** ONNX `TensorProto.DataType` numbers. */
const ELEMENT_TYPE = { float32: 1, uint8: 2, int32: 6, int64: 7, float16: 10 } as const;

export type ElementType = keyof typeof ELEMENT_TYPE;

const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  float32: 4,
  uint8: 1,
  int32: 4,
  int64: 8,
  float16: 2,
};

/** An attribute: integers and floats look alike in JavaScript, so floats are marked. */
export type Attribute = number | string | { readonly float: number };

const IR_VERSION = 8;
const OPSET_VERSION = 18;
const CONTRIB_DOMAIN = 'com.microsoft';
const INLINE_LIMIT_BYTES = 1024;

/** Operators of ONNX Runtime's own domain. */
const CONTRIB_OPERATORS: ReadonlySet<string> = new Set([
  'GatherBlockQuantized',
  'GroupQueryAttention',
  'MatMulNBits',
  'QuickGelu',
  'SkipSimplifiedLayerNormalization',
]);

/** Collects nodes, inputs, outputs and initialisers and writes them as an ONNX model whose weights lie in another file. */
export class OnnxGraph {
  readonly #data: ExternalData | undefined;
  readonly #nodes: Buffer[] = [];
  readonly #initialisers: Buffer[] = [];
  readonly #inputs: Buffer[] = [];
  readonly #outputs: Buffer[] = [];

  /** `data`: where large initialisers go. */
  constructor(data?: ExternalData) {
    this.#data = data;
  }

  /** Adds an operator. Empty names stand for inputs or outputs left out. Returns the first output's name. */
  node(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    const name = `${outputs.find((output) => output !== '')}/${operator}`;
    const fields = [
      ...inputs.map((input) => bytesField(1, input)),
      ...outputs.map((output) => bytesField(2, output)),
      bytesField(3, name),
      bytesField(4, operator),
      ...Object.entries(attributes).map(([key, value]) => bytesField(5, attributeProto(key, value))),
    ];
    if (CONTRIB_OPERATORS.has(operator)) fields.push(bytesField(7, CONTRIB_DOMAIN));
    this.#nodes.push(Buffer.concat(fields));
    return outputs[0]!;
  }

  /** A small constant vector. */
  int64(name: string, values: readonly number[]): string {
    const bytes = new BigInt64Array(values.map((value) => BigInt(value)));
    this.#initialisers.push(
      tensorProto(name, 'int64', [values.length], bytesField(9, new Uint8Array(bytes.buffer))),
    );
    return name;
  }

  float32(name: string, values: Float32Array, dims: readonly number[]): string {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    if (bytes.length < INLINE_LIMIT_BYTES) {
      this.#initialisers.push(tensorProto(name, 'float32', dims, bytesField(9, bytes)));
    } else {
      const region = this.external(name, 'float32', dims);
      region.write(0, bytes);
    }
    return name;
  }

  /**
   * An initialiser in the data file, whose bytes the caller writes into the returned region. With `shared`, it is another
   * view of a region that exists already.
   */
  external(
    name: string,
    type: ElementType,
    dims: readonly number[],
    shared?: ExternalRegion,
  ): ExternalRegion {
    const sizeBytes = dims.reduce((product, dim) => product * dim, ELEMENT_BYTES[type]);
    const data = this.#data;
    if (data === undefined) throw new RangeError(`${name} is too large for a graph without a data file`);
    const region = shared ?? data.reserve(sizeBytes);
    const location: readonly (readonly [string, string])[] = [
      ['location', data.location],
      ['offset', String(region.offset)],
      ['length', String(sizeBytes)],
    ];
    const entries = location.map(([key, value]) =>
      bytesField(13, Buffer.concat([bytesField(1, key), bytesField(2, value)])),
    );
    // 14: data_location, 1: EXTERNAL
    this.#initialisers.push(tensorProto(name, type, dims, ...entries, integerField(14, 1)));
    return region;
  }

  /** Dimensions given by name are free. */
  input(name: string, type: ElementType, dims: readonly (number | string)[]): void {
    this.#inputs.push(valueInfo(name, type, dims));
  }

  output(name: string, type: ElementType, dims: readonly (number | string)[]): void {
    this.#outputs.push(valueInfo(name, type, dims));
  }

  /** The serialised ModelProto. */
  serialise(): Buffer {
    const graph = Buffer.concat([
      ...this.#nodes.map((node) => bytesField(1, node)),
      bytesField(2, 'decoder'),
      ...this.#initialisers.map((tensor) => bytesField(5, tensor)),
      ...this.#inputs.map((value) => bytesField(11, value)),
      ...this.#outputs.map((value) => bytesField(12, value)),
    ]);
    return Buffer.concat([
      integerField(1, IR_VERSION),
      bytesField(7, graph),
      bytesField(8, Buffer.concat([bytesField(1, ''), integerField(2, OPSET_VERSION)])),
      bytesField(8, Buffer.concat([bytesField(1, CONTRIB_DOMAIN), integerField(2, 1)])),
    ]);
  }
}

function tensorProto(
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

/** The type codes are FLOAT 1, INT 2, STRING 3 of AttributeProto. */
function attributeProto(name: string, value: Attribute): Buffer {
  const label = bytesField(1, name);
  if (typeof value === 'string') return Buffer.concat([label, bytesField(4, value), integerField(20, 3)]);
  if (typeof value === 'object')
    return Buffer.concat([label, floatField(2, value.float), integerField(20, 1)]);
  return Buffer.concat([label, integerField(3, value), integerField(20, 2)]);
}

function valueInfo(name: string, type: ElementType, dims: readonly (number | string)[]): Buffer {
  const shape = Buffer.concat(
    dims.map((dim) => bytesField(1, typeof dim === 'string' ? bytesField(2, dim) : integerField(1, dim))),
  );
  const tensorType = Buffer.concat([integerField(1, ELEMENT_TYPE[type]), bytesField(2, shape)]);
  return Buffer.concat([bytesField(1, name), bytesField(2, bytesField(1, tensorType))]);
}

import type { ExternalData, ExternalRegion } from './external-data.ts';
import {
  type Attribute,
  CONTRIB_DOMAIN,
  ELEMENT_BYTES,
  ELEMENT_TYPE,
  type ElementType,
  nodeProto,
  tensorProto,
} from './onnx-messages.ts';
import { bytesField, integerField } from './protobuf.ts';

const IR_VERSION = 8;
const OPSET_VERSION = 18;
const INLINE_LIMIT_BYTES = 1024;

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
    this.#nodes.push(nodeProto(operator, inputs, outputs, attributes));
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

function valueInfo(name: string, type: ElementType, dims: readonly (number | string)[]): Buffer {
  const shape = Buffer.concat(
    dims.map((dim) => bytesField(1, typeof dim === 'string' ? bytesField(2, dim) : integerField(1, dim))),
  );
  const tensorType = Buffer.concat([integerField(1, ELEMENT_TYPE[type]), bytesField(2, shape)]);
  return Buffer.concat([bytesField(1, name), bytesField(2, bytesField(1, tensorType))]);
}

import { ELEMENT_TYPE } from '../graph/onnx-messages.ts';
import { bytesField, fieldsOf, type MessageField } from '../graph/protobuf.ts';

/** Field numbers of onnx.proto. */
const MODEL = { graph: 7, opsetImport: 8 } as const;
const GRAPH = { node: 1, initialiser: 5, output: 12 } as const;
const NODE = { input: 1, output: 2, operator: 4, attribute: 5 } as const;
const ATTRIBUTE = { name: 1, float: 2, integer: 3 } as const;
const TENSOR = { dims: 1, dataType: 2, floatData: 4, name: 8, rawData: 9 } as const;
const OPSET = { domain: 1, version: 2 } as const;

export interface GraphNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The NodeProto. */
  readonly message: Buffer;
}

/** A float32 constant; scalars have no dims. */
export interface Constant {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** An ONNX model with inline weights, to be read along its edges and written again with some nodes replaced. */
export class GraphView {
  readonly nodes: readonly GraphNode[];
  /** The opset of the standard operators. */
  readonly opsetVersion: number;
  readonly #model: readonly MessageField[];
  readonly #graph: readonly MessageField[];
  readonly #initialisers = new Map<string, Buffer>();
  readonly #producers = new Map<string, GraphNode>();
  readonly #consumers = new Map<string, GraphNode[]>();

  /** Throws RangeError if the bytes are not such a message. */
  constructor(model: Buffer) {
    this.#model = fieldsOf(model);
    const graph = this.#model.find((each) => each.field === MODEL.graph);
    if (graph === undefined) throw new RangeError('the model has no graph');
    this.#graph = fieldsOf(graph.content);
    this.opsetVersion = standardOpset(this.#model);
    this.nodes = this.#graph
      .filter((each) => each.field === GRAPH.node)
      .map(({ content }) => readNode(content));
    for (const { field, content } of this.#graph)
      if (field === GRAPH.initialiser) this.#initialisers.set(nameOfTensor(content), content);
    for (const node of this.nodes) {
      for (const output of node.outputs) this.#producers.set(output, node);
      for (const input of node.inputs) {
        const list = this.#consumers.get(input);
        if (list === undefined) this.#consumers.set(input, [node]);
        else list.push(node);
      }
    }
  }

  producer(name: string | undefined): GraphNode | undefined {
    return name === undefined ? undefined : this.#producers.get(name);
  }

  consumers(name: string): readonly GraphNode[] {
    return this.#consumers.get(name) ?? [];
  }

  /** All stored constants: their ONNX element types and sizes. */
  *tensors(): Iterable<{ readonly name: string; readonly type: number; readonly dims: readonly number[] }> {
    for (const [name, tensor] of this.#initialisers) {
      const fields = fieldsOf(tensor);
      const type = fields.find(({ field }) => field === TENSOR.dataType)?.integer ?? 0;
      yield { name, type, dims: dimsOf(fields) };
    }
  }

  /** The node that uses a node's first output, if it is only one. */
  onlyConsumer(node: GraphNode): GraphNode | undefined {
    const consumers = this.consumers(node.outputs[0]!);
    return consumers.length === 1 ? consumers[0] : undefined;
  }

  /** A constant of the graph; undefined where the name is not one, or it is not float32. */
  constant(name: string | undefined): Constant | undefined {
    const tensor = name === undefined ? undefined : this.#initialisers.get(name);
    if (tensor === undefined) return undefined;
    const fields = fieldsOf(tensor);
    if (fields.find(({ field }) => field === TENSOR.dataType)?.integer !== ELEMENT_TYPE.float32)
      return undefined;
    const data = fields.find(({ field }) => field === TENSOR.rawData || field === TENSOR.floatData);
    const dims = dimsOf(fields);
    if (data === undefined || data.content.length !== dims.reduce((size, dim) => size * dim, 4))
      return undefined;
    return { dims, data: new Float32Array(new Uint8Array(data.content).buffer) };
  }

  scalar(name: string | undefined): number | undefined {
    const constant = this.constant(name);
    return constant?.data.length === 1 ? constant.data[0] : undefined;
  }

  /**
   * The model with other nodes in the place of some (NodeProtos; an empty list leaves the node out) and more
   * initialisers (TensorProtos), less those that no node uses any more.
   */
  rewritten(replaced: ReadonlyMap<GraphNode, readonly Buffer[]>, initialisers: readonly Buffer[]): Buffer {
    const messages = this.nodes.flatMap((node) => replaced.get(node) ?? [node.message]);
    const used = new Set(messages.flatMap((message) => readNode(message).inputs));
    for (const { field, content } of this.#graph)
      if (field === GRAPH.output) used.add(fieldsOf(content)[0]!.content.toString());
    const kept = this.#graph.filter(
      ({ field, content }) =>
        field !== GRAPH.node && (field !== GRAPH.initialiser || used.has(nameOfTensor(content))),
    );
    return this.#written(messages, initialisers, kept);
  }

  /** The model with more nodes and initialisers behind it, and another output (a ValueInfoProto) in the place of its own. */
  extended(nodes: readonly Buffer[], initialisers: readonly Buffer[], output: Buffer): Buffer {
    const kept = this.#graph.filter(({ field }) => field !== GRAPH.node && field !== GRAPH.output);
    const messages = [...this.nodes.map(({ message }) => message), ...nodes];
    return this.#written(messages, initialisers, [...kept, { whole: bytesField(GRAPH.output, output) }]);
  }

  #written(
    nodes: readonly Buffer[],
    initialisers: readonly Buffer[],
    rest: readonly Pick<MessageField, 'whole'>[],
  ): Buffer {
    const graph = Buffer.concat([
      ...nodes.map((message) => bytesField(GRAPH.node, message)),
      ...initialisers.map((tensor) => bytesField(GRAPH.initialiser, tensor)),
      ...rest.map(({ whole }) => whole),
    ]);
    return Buffer.concat(
      this.#model.map(({ field, whole }) => (field === MODEL.graph ? bytesField(MODEL.graph, graph) : whole)),
    );
  }
}

/** A number among a node's attributes; undefined where the operator's default counts. */
export function attributeOf({ message }: GraphNode, name: string): number | undefined {
  for (const { field, content } of fieldsOf(message)) {
    if (field !== NODE.attribute) continue;
    const parts = fieldsOf(content);
    if (parts.find((part) => part.field === ATTRIBUTE.name)?.content.toString() !== name) continue;
    const float = parts.find((part) => part.field === ATTRIBUTE.float);
    if (float !== undefined) return float.whole.readFloatLE(float.whole.length - 4);
    const integer = parts.find((part) => part.field === ATTRIBUTE.integer)?.integer ?? 0;
    // Two's complement of 64 bits, read as a float64: small negative numbers are all that is told apart.
    return integer >= 2 ** 63 ? -1 : integer;
  }
  return undefined;
}

function readNode(message: Buffer): GraphNode {
  const fields = fieldsOf(message);
  const texts = (wanted: number) =>
    fields.filter(({ field }) => field === wanted).map(({ content }) => content.toString());
  return {
    operator: texts(NODE.operator)[0] ?? '',
    inputs: texts(NODE.input),
    outputs: texts(NODE.output),
    message,
  };
}

function dimsOf(tensor: readonly MessageField[]): number[] {
  return tensor.filter(({ field }) => field === TENSOR.dims).map(({ integer }) => integer);
}

function nameOfTensor(tensor: Buffer): string {
  return (
    fieldsOf(tensor)
      .find(({ field }) => field === TENSOR.name)
      ?.content.toString() ?? ''
  );
}

function standardOpset(model: readonly MessageField[]): number {
  for (const { field, content } of model) {
    if (field !== MODEL.opsetImport) continue;
    const parts = fieldsOf(content);
    const domain = parts.find((part) => part.field === OPSET.domain)?.content.toString() ?? '';
    const version = parts.find((part) => part.field === OPSET.version)?.integer;
    if (domain === '' && version !== undefined) return version;
  }
  throw new RangeError('the model does not say which operators it uses');
}

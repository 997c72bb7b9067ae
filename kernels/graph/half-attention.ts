import { bytesField, fieldsOf, integerField, rewritten, textsOf } from './protobuf.ts';

/** Field numbers and codes of onnx.proto. */
const MODEL = { graph: 7 } as const;
const GRAPH = { node: 1, input: 11, output: 12 } as const;
const NODE = { input: 1, output: 2, name: 3, operator: 4, attribute: 5 } as const;
const FLOAT = 1;
const FLOAT16 = 10;
/** Of GroupQueryAttention: past key, past value; seqlens_k, total_seq, which are integers. */
const PAST_INPUTS: ReadonlySet<number> = new Set([3, 4]);
const INTEGER_INPUTS: ReadonlySet<number> = new Set([5, 6]);

/**
 * Of a decoder's graph makes one whose attention computes in half precision, and whose KV memory is half precision: CUDA has no
 * other kernel. What goes in is rounded, what comes out is float32 again; all other operators stay as they are.
 */
export function withHalfAttention(model: Buffer): Buffer {
  return rewritten(model, MODEL.graph, (graph) => {
    const cast = new Set<string>();
    const halfValues = new Set<string>();
    const fields = fieldsOf(graph).map(({ field, whole, content }) => {
      if (field !== GRAPH.node || textsOf(content, NODE.operator)[0] !== 'GroupQueryAttention') return whole;
      return halved(content, cast, halfValues);
    });
    return Buffer.concat(
      fieldsOf(graph).map(({ field, content }, i) =>
        (field === GRAPH.input || field === GRAPH.output) && halfValues.has(textsOf(content, 1)[0]!)
          ? bytesField(field, asHalfValue(content))
          : fields[i]!,
      ),
    );
  });
}

/** The nodes in place of one. `cast`: what has been cast already, such as the tables of rotations; `halfValues`: its KV memory. */
function halved(node: Buffer, cast: Set<string>, halfValues: Set<string>): Buffer {
  const inputs = textsOf(node, NODE.input);
  const [attended, ...presents] = textsOf(node, NODE.output) as [string, ...string[]];
  const nodes: Buffer[] = [];
  const halfInputs = inputs.map((name, i) => {
    if (PAST_INPUTS.has(i)) halfValues.add(name);
    if (name === '' || PAST_INPUTS.has(i) || INTEGER_INPUTS.has(i)) return name;
    if (!cast.has(name)) nodes.push(castNode(name, `${name}.half`, FLOAT16));
    cast.add(name);
    return `${name}.half`;
  });
  for (const present of presents) halfValues.add(present);
  const kept = fieldsOf(node).filter(({ field }) => field !== NODE.input && field !== NODE.output);
  nodes.push(
    Buffer.concat([
      ...halfInputs.map((name) => bytesField(NODE.input, name)),
      ...[`${attended}.half`, ...presents].map((name) => bytesField(NODE.output, name)),
      ...kept.map(({ whole }) => whole),
    ]),
    castNode(`${attended}.half`, attended, FLOAT),
  );
  return Buffer.concat(nodes.map((each) => bytesField(GRAPH.node, each)));
}

function castNode(from: string, to: string, type: number): Buffer {
  // AttributeProto: 1 name, 3 i, 20 type, of which 2 is INT.
  const attribute = Buffer.concat([bytesField(1, 'to'), integerField(3, type), integerField(20, 2)]);
  return Buffer.concat([
    bytesField(NODE.input, from),
    bytesField(NODE.output, to),
    bytesField(NODE.name, `${to}/Cast`),
    bytesField(NODE.operator, 'Cast'),
    bytesField(NODE.attribute, attribute),
  ]);
}

/** ValueInfoProto: 2 type → 1 tensor_type → 1 elem_type, 2 shape. */
function asHalfValue(value: Buffer): Buffer {
  return rewritten(value, 2, (type) =>
    rewritten(type, 1, (tensorType) =>
      Buffer.concat(
        fieldsOf(tensorType).map(({ field, whole }) => (field === 1 ? integerField(1, FLOAT16) : whole)),
      ),
    ),
  );
}

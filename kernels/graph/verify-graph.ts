import { presentName } from './decoder-context.ts';
import { bytesField, fieldsOf, integerField } from './protobuf.ts';

/**
 * Tokens checked in one pass: the one to be decoded next and the drafts behind it. More cost more per token (kernels for 2 to 7 rows take
 * about as long per row), and fewer of them are accepted.
 */
export const VERIFY_ROWS = 4;

/** The graph's additional inputs. Left out, they say: do not verify. */
export const VERIFY_INPUT = {
  /** bool scalar */
  verify: 'verify',
  /** i32 [VERIFY_ROWS]: position of each row's token */
  lastPositions: 'verify.last_positions',
  /** i32 [VERIFY_ROWS]: one more */
  totalLengths: 'verify.total_lengths',
} as const;

/** The additional output that holds a layer's KV memory behind row `row`, which is not the last one. */
export const presentRowName = (layer: number, side: 'key' | 'value', row: number) =>
  rowName(presentName(layer, side), row);

const rowName = (name: string, row: number) => `${name}.row.${row}`;

/** Field numbers and codes of onnx.proto. */
const MODEL = { graph: 7 } as const;
const GRAPH = { node: 1, name: 2, initialiser: 5, input: 11, output: 12 } as const;
const NODE = { input: 1, output: 2, name: 3, operator: 4 } as const;
const BOOL = 9;
const INT32 = 6;
const INT64 = 7;
const FLOAT = 1;
const ATTRIBUTE = { integer: { value: 3, code: 2 }, graph: { value: 6, code: 5 } } as const;

/**
 * Of a decoder's graph makes one that can also check drafts: `input_ids` are then [VERIFY_ROWS × 1], successive tokens of one
 * sequence, and the KV memory is that of its slot alone.
 *
 * Kernels of attention round differently for several tokens of a sequence than for one, those of all other operators do not. So
 * that a row gets the very bits of a step of its own, only attention is run row by row, in the very same way as in such a step:
 *
 *     attention ──▶ If verify ─┬─ no ─▶ attention, as it was
 *                              └─ yes ▶ split ─▶ attention of row 0 ─▶ of row 1 ─▶ … ─▶ concat
 *
 * A row takes the KV that the one before gave, so that their order is fixed; being outputs of the graph, all of these can be bound
 * to the one memory, and nothing is copied. Where it does not verify, a step takes as long as in the graph without.
 */
export function withVerification(model: Buffer): Buffer {
  return rewritten(model, MODEL.graph, (graph) => {
    const presents: string[] = [];
    const withChoices = rewritten(graph, GRAPH.node, (node) => {
      const attention = attentionOf(node);
      if (attention === undefined) return node;
      for (const present of attention.outputs.slice(1)) presents.push(...rowNames(present).slice(0, -1));
      return choice(node, attention);
    });
    const { verify, lastPositions, totalLengths } = VERIFY_INPUT;
    return Buffer.concat([
      // Before the nodes that use them.
      bytesField(GRAPH.node, split(lastPositions, 'verify.one_each', rowNames(lastPositions))),
      bytesField(GRAPH.node, split(totalLengths, 'verify.one_each', rowNames(totalLengths))),
      withChoices,
      ...[
        tensor(verify, BOOL, [], new Uint8Array(1)),
        tensor(lastPositions, INT32, [VERIFY_ROWS], new Uint8Array(4 * VERIFY_ROWS)),
        tensor(totalLengths, INT32, [VERIFY_ROWS], new Uint8Array(4 * VERIFY_ROWS)),
        tensor('verify.one_each', INT64, [VERIFY_ROWS], int64Bytes(new Array(VERIFY_ROWS).fill(1))),
        tensor('verify.nothing', FLOAT, [0], new Uint8Array(0)),
        tensor('verify.none_each', INT64, [NOTHINGS], int64Bytes(new Array(NOTHINGS).fill(0))),
      ].map((initialiser) => bytesField(GRAPH.initialiser, initialiser)),
      bytesField(GRAPH.input, value(verify, BOOL, 0)),
      bytesField(GRAPH.input, value(lastPositions, INT32, 1)),
      bytesField(GRAPH.input, value(totalLengths, INT32, 1)),
      ...presents.map((name) => bytesField(GRAPH.output, value(name, FLOAT, 4))),
    ]);
  });
}

/** Outputs for which there is nothing when not verifying: key and value of all rows but the last. */
const NOTHINGS = 2 * (VERIFY_ROWS - 1);

interface Attention {
  /** query (or all three), key, value, past key, past value, last positions, total length, … */
  readonly inputs: readonly string[];
  /** attended, present key, present value */
  readonly outputs: readonly string[];
}

function attentionOf(node: Buffer): Attention | undefined {
  const texts = (field: number) =>
    fieldsOf(node)
      .filter((each) => each.field === field)
      .map((each) => each.content.toString());
  if (texts(NODE.operator)[0] !== 'GroupQueryAttention') return undefined;
  return { inputs: texts(NODE.input), outputs: texts(NODE.output) };
}

function choice(node: Buffer, { inputs, outputs }: Attention): Buffer {
  const [attended, ...presents] = outputs as [string, string, string];
  const rowPresents = presents.flatMap((present) => rowNames(present).slice(0, -1));
  const all = [...outputs, ...rowPresents];
  const once = subgraph(
    [
      attention(node, inputs, outputs.map(plainName)),
      split('verify.nothing', 'verify.none_each', rowPresents.map(plainName)),
    ],
    all.map(plainName),
  );

  const [queryKeyValue, past, rest] = [inputs.slice(0, 3), inputs.slice(3, 5), inputs.slice(7)];
  const given = queryKeyValue.filter((name) => name !== '');
  const nodes = given.map((name) => split(name, 'verify.one_each', rowNames(name)));
  let before = past;
  for (let row = 0; row < VERIFY_ROWS; row++) {
    const after = presents.map((present) => rowChoiceName(present, row));
    const rowInputs = [
      ...queryKeyValue.map((name) => (name === '' ? '' : rowName(name, row))),
      ...before,
      rowName(VERIFY_INPUT.lastPositions, row),
      rowName(VERIFY_INPUT.totalLengths, row),
      ...rest,
    ];
    nodes.push(attention(node, rowInputs, [rowName(attended, row), ...after]));
    before = after;
  }
  nodes.push(operator('Concat', rowNames(attended), [`${attended}.rows`], integerAttribute('axis', 0)));
  const rows = subgraph(nodes, [
    `${attended}.rows`,
    ...before,
    ...presents.flatMap((present) =>
      rowNames(present)
        .slice(0, -1)
        .map((_, row) => rowChoiceName(present, row)),
    ),
  ]);
  return operator(
    'If',
    [VERIFY_INPUT.verify],
    all,
    graphAttribute('then_branch', rows),
    graphAttribute('else_branch', once),
  );
}

const plainName = (name: string) => `${name}.plain`;
const rowChoiceName = (name: string, row: number) => `${name}.after.${row}`;
const rowNames = (name: string) => Array.from({ length: VERIFY_ROWS }, (_, row) => rowName(name, row));

/** The same operator, attributes and all, between other names. */
function attention(node: Buffer, inputs: readonly string[], outputs: readonly string[]): Buffer {
  const kept = fieldsOf(node).filter(({ field }) => field > NODE.name);
  return Buffer.concat([...names(inputs, outputs), ...kept.map(({ whole }) => whole)]);
}

function split(input: string, sizes: string, outputs: readonly string[]): Buffer {
  return operator('Split', [input, sizes], outputs, integerAttribute('axis', 0));
}

function operator(
  type: string,
  inputs: readonly string[],
  outputs: readonly string[],
  ...attributes: readonly Buffer[]
): Buffer {
  return Buffer.concat([
    ...names(inputs, outputs),
    bytesField(NODE.operator, type),
    ...attributes.map((attribute) => bytesField(5, attribute)),
  ]);
}

/** Inputs, outputs, and a name made of them. */
function names(inputs: readonly string[], outputs: readonly string[]): Buffer[] {
  return [
    ...inputs.map((name) => bytesField(NODE.input, name)),
    ...outputs.map((name) => bytesField(NODE.output, name)),
    bytesField(NODE.name, `${outputs[0]}/verify`),
  ];
}

function subgraph(nodes: readonly Buffer[], outputs: readonly string[]): Buffer {
  return Buffer.concat([
    ...nodes.map((node) => bytesField(GRAPH.node, node)),
    bytesField(GRAPH.name, outputs[0]!),
    ...outputs.map((name) => bytesField(GRAPH.output, bytesField(1, name))),
  ]);
}

function integerAttribute(name: string, number: number): Buffer {
  const { value: field, code } = ATTRIBUTE.integer;
  return Buffer.concat([bytesField(1, name), integerField(field, number), integerField(20, code)]);
}

function graphAttribute(name: string, graph: Buffer): Buffer {
  const { value: field, code } = ATTRIBUTE.graph;
  return Buffer.concat([bytesField(1, name), bytesField(field, graph), integerField(20, code)]);
}

function tensor(name: string, type: number, dims: readonly number[], bytes: Uint8Array): Buffer {
  return Buffer.concat([
    ...dims.map((dim) => integerField(1, dim)),
    integerField(2, type),
    bytesField(8, name),
    bytesField(9, bytes),
  ]);
}

/** A graph's input or output of free dimensions. */
function value(name: string, type: number, rank: number): Buffer {
  const dims = Array.from({ length: rank }, (_, i) => bytesField(1, bytesField(2, `${name}.${i}`)));
  const shape = rank === 1 ? [bytesField(1, integerField(1, VERIFY_ROWS))] : dims;
  const tensorType = Buffer.concat([integerField(1, type), bytesField(2, Buffer.concat(shape))]);
  return Buffer.concat([bytesField(1, name), bytesField(2, bytesField(1, tensorType))]);
}

function int64Bytes(values: readonly number[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, (each) => BigInt(each)).buffer);
}

/** A message with every field of one number changed. */
function rewritten(message: Buffer, field: number, change: (content: Buffer) => Buffer): Buffer {
  return Buffer.concat(
    fieldsOf(message).map((each) =>
      each.field === field ? bytesField(field, change(each.content)) : each.whole,
    ),
  );
}

import { presentName } from './decoder-context.ts';
import { bytesField, fieldsOf, integerField, rewritten, textsOf } from './protobuf.ts';

/**
 * Tokens checked in one pass: the one to be decoded next and the drafts behind it. For SmolLM2-135M on two cores 4 take as long as 1.6
 * steps, 8 as long as 3.
 */
export const VERIFY_ROWS = 4;

/** i32 [VERIFY_ROWS]: for each row, the positions filled once it is there. Takes the place of `total_seq`. */
export const TOTAL_LENGTHS = 'total_lengths';

/** The output that holds a layer's KV memory behind row `row`, which is not the last one: that one's is `presentName`. */
export const presentRowName = (layer: number, side: 'key' | 'value', row: number) =>
  rowName(presentName(layer, side), row);

const rowName = (name: string, row: number) => `${name}.row.${row}`;
const rowNames = (name: string) => Array.from({ length: VERIFY_ROWS }, (_, row) => rowName(name, row));

/** Field numbers and codes of onnx.proto. */
const MODEL = { graph: 7 } as const;
const GRAPH = { node: 1, initialiser: 5, input: 11, output: 12 } as const;
const NODE = { input: 1, output: 2, name: 3, operator: 4, attribute: 5 } as const;
const FLOAT = 1;
const INT32 = 6;
const INT64 = 7;
const INTEGER_ATTRIBUTE = 2;

const ONE_EACH = 'verify.one_each';

/**
 * Of a decoder's graph, over the same weights, makes one that checks drafts: `input_ids` are [VERIFY_ROWS × 1], successive tokens of one
 * sequence, `seqlens_k` their positions, and the KV memory is that of its slot alone.
 *
 * Kernels of attention round differently for several tokens of a sequence than for one, those of all other operators do not. So
 * that a row gets the very bits of a step of its own, attention is run row by row, in the very same way as in such a step:
 *
 *     attention     becomes     split ─▶ attention of row 0 ─▶ of row 1 ─▶ … ─▶ concat
 *
 * A row takes the KV that the one before gave, so that their order is fixed. All of these are outputs of the graph: bound to the one
 * memory, they are extended in place. (Both graphs in one, with an `If` around attention, make every plain step 5 % slower.)
 */
export function verifyGraphOf(model: Buffer): Buffer {
  return rewritten(model, MODEL.graph, (graph) => {
    const presents: string[] = [];
    const expand = (node: Buffer): Buffer[] => {
      const attention = attentionOf(node);
      if (attention === undefined) return [node];
      for (const present of attention.outputs.slice(1)) presents.push(...rowNames(present).slice(0, -1));
      return byRows(node, attention);
    };
    const fields = fieldsOf(graph).flatMap((each) => {
      if (each.field === GRAPH.node) return expand(each.content).map((node) => bytesField(GRAPH.node, node));
      return each.field === GRAPH.input && textsOf(each.content, 1)[0] === 'total_seq' ? [] : [each.whole];
    });
    const ones = new Uint8Array(new BigInt64Array(VERIFY_ROWS).fill(1n).buffer);
    return Buffer.concat([
      // Before the nodes that use them.
      bytesField(GRAPH.node, split('seqlens_k')),
      bytesField(GRAPH.node, split(TOTAL_LENGTHS)),
      ...fields,
      bytesField(GRAPH.initialiser, tensor(ONE_EACH, INT64, VERIFY_ROWS, ones)),
      bytesField(GRAPH.input, value(TOTAL_LENGTHS, INT32, 1)),
      ...presents.map((name) => bytesField(GRAPH.output, value(name, FLOAT, 4))),
    ]);
  });
}

interface Attention {
  /** query (or all three), key, value, past key, past value, last positions, total length, … */
  readonly inputs: readonly string[];
  /** attended, present key, present value */
  readonly outputs: readonly string[];
}

function attentionOf(node: Buffer): Attention | undefined {
  if (textsOf(node, NODE.operator)[0] !== 'GroupQueryAttention') return undefined;
  return { inputs: textsOf(node, NODE.input), outputs: textsOf(node, NODE.output) };
}

function byRows(node: Buffer, { inputs, outputs }: Attention): Buffer[] {
  const [attended, ...presents] = outputs as [string, string, string];
  const queryKeyValue = inputs.slice(0, 3);
  const nodes = queryKeyValue.filter((name) => name !== '').map(split);
  let before = inputs.slice(3, 5);
  for (let row = 0; row < VERIFY_ROWS; row++) {
    const after = row === VERIFY_ROWS - 1 ? presents : presents.map((present) => rowName(present, row));
    const rowInputs = [
      ...queryKeyValue.map((name) => (name === '' ? '' : rowName(name, row))),
      ...before,
      rowName('seqlens_k', row),
      rowName(TOTAL_LENGTHS, row),
      ...inputs.slice(7),
    ];
    nodes.push(renamed(node, rowInputs, [rowName(attended, row), ...after]));
    before = after;
  }
  nodes.push(alongRows('Concat', rowNames(attended), [attended]));
  return nodes;
}

/** The same operator, attributes and all, between other names. */
function renamed(node: Buffer, inputs: readonly string[], outputs: readonly string[]): Buffer {
  const kept = fieldsOf(node).filter(({ field }) => field > NODE.name);
  return Buffer.concat([...names(inputs, outputs), ...kept.map(({ whole }) => whole)]);
}

function split(name: string): Buffer {
  return alongRows('Split', [name, ONE_EACH], rowNames(name));
}

function alongRows(
  operator: 'Split' | 'Concat',
  inputs: readonly string[],
  outputs: readonly string[],
): Buffer {
  const axis = [bytesField(1, 'axis'), integerField(3, 0), integerField(20, INTEGER_ATTRIBUTE)];
  return Buffer.concat([
    ...names(inputs, outputs),
    bytesField(NODE.operator, operator),
    bytesField(NODE.attribute, Buffer.concat(axis)),
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

function tensor(name: string, type: number, length: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([
    integerField(1, length),
    integerField(2, type),
    bytesField(8, name),
    bytesField(9, bytes),
  ]);
}

/** A graph's input or output of free dimensions. */
function value(name: string, type: number, rank: number): Buffer {
  const dims = Array.from({ length: rank }, (_, i) => bytesField(1, bytesField(2, `${name}.${i}`)));
  const tensorType = Buffer.concat([integerField(1, type), bytesField(2, Buffer.concat(dims))]);
  return Buffer.concat([bytesField(1, name), bytesField(2, bytesField(1, tensorType))]);
}

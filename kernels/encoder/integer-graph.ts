import { type ElementType, nodeProto, tensorProto } from '../graph/onnx-messages.ts';
import { bytesField } from '../graph/protobuf.ts';
import { findGelus, type Gelu } from './gelu.ts';
import type { Constant, GraphNode, GraphView } from './graph-view.ts';
import { NodeList } from './node-list.ts';
import { fasterNormalisation } from './normalisation.ts';

/** With smaller matrices, preparing the integers costs more than it saves. */
export const LEAST_SIZE = 128;

/**
 * A few channels of what a LayerNormalization or GELU gives are many times as large as the rest in every text, and
 * would take up all of the integers' resolution. They are multiplied in float32 (as in LLM.int8(), arXiv
 * 2208.07339).
 */
const OUTLIER_CHANNELS = 8;

/** Below the least value of GELU, which is −0.16997: added, so that all of a byte's 256 levels are used. */
const GELU_SHIFT = 0.17;

/** So that a row of zeros is not divided by zero. */
const SMALLEST_RANGE = 1e-12;

/** Where a product's input comes from, which says how its integers are best made. */
type Origin = 'attention' | 'normalisation' | 'gelu';

/** A matrix product that can be computed in integers. */
export interface IntegerPlace {
  readonly node: GraphNode;
  readonly weight: Constant;
  readonly origin: Origin;
}

/** The products of a transformer encoder's layers, in the order of the graph, as ONNX Runtime's own optimiser leaves it. */
export function integerPlaces(view: GraphView): readonly IntegerPlace[] {
  const gelus = findGelus(view);
  return view.nodes.flatMap((node) => {
    const weight = node.operator === 'MatMul' ? view.constant(node.inputs[1]) : undefined;
    if (weight?.dims.length !== 2 || Math.min(...weight.dims) < LEAST_SIZE) return [];
    const origin = originOf(view, node.inputs[0]!, gelus);
    return origin === undefined ? [] : [{ node, weight, origin }];
  });
}

function originOf(view: GraphView, input: string, gelus: ReadonlyMap<string, Gelu>): Origin | undefined {
  if (gelus.has(input)) return 'gelu';
  const source = view.producer(input);
  if (source?.operator.endsWith('LayerNormalization')) return 'normalisation';
  // The heads side by side again.
  const heads = source?.operator === 'Reshape' ? view.producer(source.inputs[0]) : undefined;
  return heads?.operator === 'Transpose' && view.producer(heads.inputs[0])?.operator === 'MatMul'
    ? 'attention'
    : undefined;
}

/** The values whose outliers have to be known, with their channels. */
export function valuesWithOutliers(places: readonly IntegerPlace[]): ReadonlyMap<string, number> {
  const having = places.filter(({ origin }) => origin !== 'attention');
  return new Map(having.map(({ node, weight }) => [node.inputs[0]!, weight.dims[0]!]));
}

/**
 * Rewrites a transformer encoder to multiply 8-bit integers in all of `places`. Every token's activations have a scale of their
 * own, so that no row of a batch, and no other token, shows in another.
 *
 *     x ─▶ MatMul(W) ─▶    becomes    x ─▶ ÷ s ─▶ u8 ─▶ MatMulIntegerToFloat(W as i8, a scale per column) ─▶ × s ─▶
 *                                     └─▶ s = max|x| / 127, per token
 *
 * `reach`: how far the channels of `valuesWithOutliers` go from zero in usual texts.
 */
export function integerGraphOf(
  view: GraphView,
  places: readonly IntegerPlace[],
  reach: ReadonlyMap<string, Float32Array>,
): Buffer {
  const rewriter = new Rewriter(view, reach);
  for (const gelu of findGelus(view).values()) rewriter.replaceGelu(gelu);
  for (const node of view.nodes) rewriter.replaceNormalisation(node);
  for (const place of places) rewriter.replaceProduct(place);
  return view.rewritten(rewriter.replaced, rewriter.initialisers);
}

/** A value in integers, for all products of it. */
interface Integers {
  readonly name: string;
  /** Per token; integers × scale is the value, apart from what else is said here. */
  readonly scale: string;
  readonly zeroPoint: string;
  /** What was added to the value before. */
  readonly shift: number;
  /** Channels that are left out of the integers, and what they hold. */
  readonly outliers: { readonly channels: readonly number[]; readonly values: string } | undefined;
}

/** Collects what takes the place of nodes. */
class Rewriter {
  readonly replaced = new Map<GraphNode, readonly Buffer[]>();
  readonly initialisers: Buffer[] = [];
  readonly #view: GraphView;
  readonly #reach: ReadonlyMap<string, Float32Array>;
  readonly #constants = new Set<string>();
  readonly #integers = new Map<string, Integers>();

  constructor(view: GraphView, reach: ReadonlyMap<string, Float32Array>) {
    this.#view = view;
    this.#reach = reach;
  }

  replaceGelu({ nodes, input, output }: Gelu): void {
    for (const node of nodes) this.replaced.set(node, []);
    if (nodes.length > 0) this.replaced.set(nodes.at(-1)!, [nodeProto('Gelu', [input], [output])]);
  }

  replaceNormalisation(node: GraphNode): void {
    const nodes = fasterNormalisation(this.#view, node, (...constant) => this.#constant(...constant));
    if (nodes !== undefined) this.replaced.set(node, nodes);
  }

  replaceProduct({ node, weight, origin }: IntegerPlace): void {
    const output = node.outputs[0]!;
    const [rows, columns] = weight.dims as readonly [number, number];
    const data = weight.data.slice();
    const nodes = new NodeList(output);
    const { name, scale, zeroPoint, shift, outliers } = this.#integersOf(node.inputs[0]!, origin, nodes);
    const terms: string[] = [];
    if (outliers !== undefined) {
      const { channels, values } = outliers;
      const taken = takeRows(data, channels, columns);
      const weights = this.#floats(nodes.name('outlier_weights'), taken, [channels.length, columns]);
      terms.push(nodes.add('MatMul', [values, weights], 'outlier_product'));
    }
    if (shift !== 0)
      terms.push(this.#floats(nodes.name('correction'), columnSums(data, columns, -shift), [columns]));
    const { quants, scales } = quantiseColumns(data, columns);
    const product = nodes.add(
      'MatMulIntegerToFloat',
      [
        name,
        this.#constant(nodes.name('weight'), 'int8', [rows, columns], quants),
        this.#scalar(1),
        this.#floats(nodes.name('scales'), scales, [columns]),
        zeroPoint,
      ],
      'product',
    );
    let sum = nodes.add('Mul', [product, scale], terms.length === 0 ? undefined : 'unscaled');
    for (const [i, term] of terms.entries())
      sum = nodes.add('Add', [sum, term], i === terms.length - 1 ? undefined : 'corrected');
    this.replaced.set(node, nodes.messages);
  }

  /** Made once, among the nodes of the first product. */
  #integersOf(input: string, origin: Origin, nodes: NodeList): Integers {
    const known = this.#integers.get(input);
    if (known !== undefined) return known;
    const shift = origin === 'gelu' ? GELU_SHIFT : 0;
    let value = shift === 0 ? input : nodes.add('Add', [input, this.#scalar(shift)], 'shifted');
    let outliers: Integers['outliers'];
    const reach = this.#reach.get(input);
    if (reach !== undefined) {
      const channels = furthest(reach);
      const ids = BigInt64Array.from(channels, BigInt);
      const index = this.#constant(nodes.name('outliers'), 'int64', [channels.length], ids);
      outliers = { channels, values: nodes.add('Gather', [input, index], 'outlier_values', { axis: -1 }) };
      const kept = reach.map((_, channel) => (channels.includes(channel) ? 0 : 1));
      value = nodes.add('Mul', [value, this.#floats(nodes.name('kept'), kept, [kept.length])], 'small');
    }
    const size = shift === 0 ? nodes.add('Abs', [value], 'size') : value;
    const range = nodes.add('Add', [this.#largest(size, nodes), this.#scalar(SMALLEST_RANGE)], 'positive');
    const scale = nodes.add('Mul', [range, this.#scalar(1 / (shift === 0 ? 127 : 255))], 'scale');
    const zeroPoint = this.#zeroPoint(shift === 0 ? 128 : 0);
    const scaled = nodes.add('Div', [value, scale], 'scaled');
    const name = nodes.add('QuantizeLinear', [scaled, this.#scalar(1), zeroPoint], 'integers');
    const integers = { name, scale, zeroPoint, shift, outliers };
    this.#integers.set(input, integers);
    return integers;
  }

  /** Along the last axis, which stays. Opset 18 made the axes an input. */
  #largest(input: string, nodes: NodeList): string {
    if (this.#view.opsetVersion < 18) return nodes.add('ReduceMax', [input], 'range', { axes: [-1] });
    const axes = this.#constant('int8/last_axis', 'int64', [1], BigInt64Array.of(-1n));
    return nodes.add('ReduceMax', [input, axes], 'range');
  }

  #scalar(value: number): string {
    return this.#floats(`int8/${value}`, Float32Array.of(value), []);
  }

  #zeroPoint(value: number): string {
    return this.#constant(`int8/zero_point_${value}`, 'uint8', [], Uint8Array.of(value));
  }

  #floats(name: string, values: Float32Array, dims: readonly number[]): string {
    return this.#constant(name, 'float32', dims, values);
  }

  #constant(name: string, type: ElementType, dims: readonly number[], values: NodeJS.TypedArray): string {
    if (this.#constants.has(name)) return name;
    this.#constants.add(name);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    // 9: raw_data
    this.initialisers.push(tensorProto(name, type, dims, bytesField(9, bytes)));
    return name;
  }
}

/** Copies some rows out of a matrix, and leaves zeros there. */
function takeRows(data: Float32Array, rows: readonly number[], columns: number): Float32Array {
  const taken = new Float32Array(rows.length * columns);
  for (const [i, at] of rows.entries()) {
    const row = data.subarray(at * columns, (at + 1) * columns);
    taken.set(row, i * columns);
    row.fill(0);
  }
  return taken;
}

/** The channels that go furthest, in their order. */
function furthest(reach: Float32Array): number[] {
  return Array.from(reach.keys())
    .sort((a, b) => reach[b]! - reach[a]!)
    .slice(0, OUTLIER_CHANNELS)
    .sort((a, b) => a - b);
}

/** Symmetric, with a scale per column. Row-major as before. */
function quantiseColumns(data: Float32Array, columns: number): { quants: Int8Array; scales: Float32Array } {
  const scales = new Float32Array(columns);
  for (let at = 0; at < data.length; at += columns)
    for (let i = 0; i < columns; i++) scales[i] = Math.max(scales[i]!, Math.abs(data[at + i]!));
  for (let i = 0; i < columns; i++) scales[i]! /= 127;
  const quants = new Int8Array(data.length);
  for (let at = 0; at < data.length; at += columns)
    for (let i = 0; i < columns; i++)
      quants[at + i] = scales[i] === 0 ? 0 : Math.round(data[at + i]! / scales[i]!);
  return { quants, scales };
}

function columnSums(data: Float32Array, columns: number, factor: number): Float32Array {
  const sums = new Float64Array(columns);
  for (let at = 0; at < data.length; at += columns)
    for (let i = 0; i < columns; i++) sums[i]! += data[at + i]! * factor;
  return Float32Array.from(sums);
}

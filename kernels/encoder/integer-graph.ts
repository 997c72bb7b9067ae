import { type Attribute, type ElementType, nodeProto, tensorProto } from '../graph/onnx-messages.ts';
import { bytesField } from '../graph/protobuf.ts';
import { findGelus, type Gelu } from './gelu.ts';
import { type Constant, type GraphNode, GraphView } from './graph-view.ts';

/** Of small matrices, preparing the integers costs more than is won. */
const LEAST_SIZE = 128;

/**
 * A few channels of what a LayerNormalization gives are many times as large as the rest, and would take its integers'
 * resolution. They are multiplied in float32 (as in LLM.int8(), arXiv 2208.07339), chosen by what the normalisation's
 * own weights allow them to become.
 */
const OUTLIER_CHANNELS = 16;

/** Standard deviations that a normalised value is taken to reach. */
const USUAL_REACH = 3;

/** Below the least value of GELU, which is −0.16997: added, so that all of a byte's 256 levels are used. */
const GELU_SHIFT = 0.17;

/** So that a row of zeros is not divided by zero. */
const SMALLEST_RANGE = 1e-12;

/** Where a product's input comes from, which says how its integers are best made. */
type Origin = 'attention' | 'normalisation' | 'gelu';

/**
 * Rewrites a transformer encoder, as ONNX Runtime's own optimiser leaves it, to multiply 8-bit integers where that hardly
 * shows: in the feed-forward layers and behind attention. Every token's activations have a scale of their own, so that
 * no row of a batch, and no other token, shows in another. Queries, keys and values stay in float32: most of the
 * error that integers would bring comes from there.
 *
 *     x ─▶ MatMul(W) ─▶    becomes    x ─▶ ÷ s ─▶ u8 ─▶ MatMulIntegerToFloat(W as i8, a scale per column) ─▶ × s ─▶
 *                                     └─▶ s = max|x| / 127, per token
 *
 * Undefined where the graph has no such places. Throws RangeError for what cannot be read.
 */
export function integerGraphOf(model: Buffer): Buffer | undefined {
  const view = new GraphView(model);
  const rewriter = new Rewriter(view);
  const gelus = findGelus(view);
  for (const gelu of gelus.values()) rewriter.replaceGelu(gelu);
  for (const node of view.nodes) {
    const weight = node.operator === 'MatMul' ? view.constant(node.inputs[1]) : undefined;
    if (weight?.dims.length !== 2 || Math.min(...weight.dims) < LEAST_SIZE) continue;
    const origin = originOf(view, node, gelus);
    if (origin !== undefined) rewriter.replaceProduct(node, weight, origin);
  }
  return rewriter.products === 0 ? undefined : view.rewritten(rewriter.replaced, rewriter.initialisers);
}

function originOf(view: GraphView, node: GraphNode, gelus: ReadonlyMap<string, Gelu>): Origin | undefined {
  const [input] = node.inputs;
  if (gelus.has(input!)) return 'gelu';
  const source = view.producer(input);
  if (source?.operator.endsWith('LayerNormalization')) {
    const next = view.onlyConsumer(node);
    const biased = next?.operator === 'Add' ? next : node;
    const feedsGelu = [...gelus.values()].some((gelu) => gelu.input === biased.outputs[0]);
    return feedsGelu ? 'normalisation' : undefined;
  }
  // The heads side by side again.
  const heads = source?.operator === 'Reshape' ? view.producer(source.inputs[0]) : undefined;
  return heads?.operator === 'Transpose' && view.producer(heads.inputs[0])?.operator === 'MatMul'
    ? 'attention'
    : undefined;
}

/** Collects what takes the place of nodes. */
class Rewriter {
  readonly replaced = new Map<GraphNode, readonly Buffer[]>();
  readonly initialisers: Buffer[] = [];
  products = 0;
  readonly #view: GraphView;
  readonly #shared = new Set<string>();

  constructor(view: GraphView) {
    this.#view = view;
  }

  replaceGelu({ nodes, input, output }: Gelu): void {
    for (const node of nodes) this.replaced.set(node, []);
    if (nodes.length > 0) this.replaced.set(nodes.at(-1)!, [nodeProto('Gelu', [input], [output])]);
  }

  replaceProduct(node: GraphNode, { dims, data }: Constant, origin: Origin): void {
    const [input, output] = [node.inputs[0]!, node.outputs[0]!];
    const columns = dims[1]!;
    const nodes: Buffer[] = [];
    const add = (operator: string, inputs: string[], to: string, attributes?: Record<string, Attribute>) => {
      nodes.push(nodeProto(operator, inputs, [to], attributes));
      return to;
    };
    const name = (suffix: string) => `${output}/${suffix}`;
    let [x, rest] = [input, ''];
    if (origin === 'normalisation') {
      const channels = this.#outliers(input, dims[0]!);
      const kept = new Float32Array(dims[0]!).fill(1);
      const rows = new Float32Array(channels.length * columns);
      for (const [i, channel] of channels.entries()) {
        kept[channel] = 0;
        const row = data.subarray(channel * columns, (channel + 1) * columns);
        rows.set(row, i * columns);
        row.fill(0);
      }
      const ids = this.#constant(
        name('channels'),
        'int64',
        [channels.length],
        BigInt64Array.from(channels, BigInt),
      );
      const large = add('Gather', [input, ids], name('large'), { axis: -1 });
      rest = add(
        'MatMul',
        [large, this.#floats(name('large_weights'), rows, [channels.length, columns])],
        name('large_product'),
      );
      x = add('Mul', [input, this.#floats(name('kept'), kept, [kept.length])], name('small'));
    } else if (origin === 'gelu') {
      x = add('Add', [input, this.#scalar(GELU_SHIFT)], name('shifted'));
      rest = this.#floats(name('correction'), columnSums(data, columns, -GELU_SHIFT), [columns]);
    }

    const levels = origin === 'gelu' ? 255 : 127;
    const zeroPoint = this.#zeroPoint(origin === 'gelu' ? 0 : 128);
    const size = origin === 'gelu' ? x : add('Abs', [x], name('size'));
    const range = this.#largest(size, name('range'), nodes);
    const scale = add(
      'Mul',
      [add('Add', [range, this.#scalar(SMALLEST_RANGE)], name('positive')), this.#scalar(1 / levels)],
      name('scale'),
    );
    const scaled = add('Div', [x, scale], name('scaled'));
    const one = this.#scalar(1);
    const integers = add('QuantizeLinear', [scaled, one, zeroPoint], name('integers'));
    const { quants, scales } = quantiseColumns(data, columns);
    const weight = this.#constant(name('weight'), 'int8', dims, quants);
    const product = add(
      'MatMulIntegerToFloat',
      [integers, weight, one, this.#floats(name('scales'), scales, [columns]), zeroPoint],
      name('product'),
    );
    if (rest === '') add('Mul', [product, scale], output);
    else add('Add', [add('Mul', [product, scale], name('unscaled')), rest], output);
    this.replaced.set(node, nodes);
    this.products++;
  }

  /** The channels that can become largest, in their order. */
  #outliers(normalised: string, channels: number): number[] {
    const source = this.#view.producer(normalised)!;
    // A LayerNormalization's inputs are x, gamma, beta; with a skip there is one more before them.
    const at = source.operator.startsWith('Skip') ? 2 : 1;
    const gamma = this.#view.constant(source.inputs[at])?.data;
    const beta = this.#view.constant(source.inputs[at + 1])?.data;
    const reach = (channel: number) =>
      USUAL_REACH * Math.abs(gamma?.[channel] ?? 1) + Math.abs(beta?.[channel] ?? 0);
    return Array.from({ length: channels }, (_, channel) => channel)
      .sort((a, b) => reach(b) - reach(a))
      .slice(0, OUTLIER_CHANNELS)
      .sort((a, b) => a - b);
  }

  /** Along the last axis, which stays. Opset 18 made the axes an input. */
  #largest(input: string, output: string, nodes: Buffer[]): string {
    if (this.#view.opsetVersion < 18) nodes.push(nodeProto('ReduceMax', [input], [output], { axes: [-1] }));
    else {
      const axes = this.#once('int8/last_axis', 'int64', [1], BigInt64Array.of(-1n));
      nodes.push(nodeProto('ReduceMax', [input, axes], [output]));
    }
    return output;
  }

  #scalar(value: number): string {
    return this.#once(`int8/${value}`, 'float32', [], Float32Array.of(value));
  }

  #zeroPoint(value: number): string {
    return this.#once(`int8/zero_point_${value}`, 'uint8', [], Uint8Array.of(value));
  }

  #floats(name: string, values: Float32Array, dims: readonly number[]): string {
    return this.#constant(name, 'float32', dims, values);
  }

  #once(name: string, type: ElementType, dims: readonly number[], values: NodeJS.TypedArray): string {
    if (this.#shared.has(name)) return name;
    this.#shared.add(name);
    return this.#constant(name, type, dims, values);
  }

  #constant(name: string, type: ElementType, dims: readonly number[], values: NodeJS.TypedArray): string {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    // 9: raw_data
    this.initialisers.push(tensorProto(name, type, dims, bytesField(9, bytes)));
    return name;
  }
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

import type { GgufTensor } from '../gguf/reader.ts';
import type { TensorRows } from '../gguf/tensor-rows.ts';
import type { Hyperparameters } from './hyperparameters.ts';
import type { ModelTensors } from './model-tensors.ts';
import type { OnnxGraph } from './onnx-graph.ts';
import { deinterleavedRow, ropeTables } from './rope.ts';
import type { MatrixPart, WeightEncoder } from './weight-encoder.ts';

export interface LayerContext {
  readonly graph: OnnxGraph;
  readonly encoder: WeightEncoder;
  readonly rows: TensorRows;
  readonly tensors: ModelTensors;
  readonly parameters: Hyperparameters;
}

/** Names of graph inputs and outputs: a layer's KV memory before and after a step. */
export const pastName = (layer: number, side: 'key' | 'value') => `past.${layer}.${side}`;
export const presentName = (layer: number, side: 'key' | 'value') => `present.${layer}.${side}`;

/**
 * Adds the whole decoder: token ids in, logits of the wanted rows out.
 *
 * Inputs: `input_ids` i64 [B × S]; `seqlens_k` i32 [B], past + S − 1; `total_seq` i32 scalar, max(past) + S;
 * `logit_rows` i64 [R], flat rows b·S + s; KV f32 [B × kvHeads × P × headDim] for each layer and side.
 * Outputs: `logits` f32 [R × V] and the KV again, to be bound to the same memory.
 * Activations are [B·S × columns] throughout; only attention sees three dimensions.
 */
export function addDecoder(context: LayerContext): void {
  const { graph, encoder, tensors, parameters } = context;
  const { layers, hiddenSize, vocabSize, kvHeads, headDim } = parameters;
  addInputsAndConstants(context);

  const embedding = tensors.get('token_embd.weight', [hiddenSize, vocabSize]);
  encoder.embed(embedding, 'input_ids', 'embedded');
  let residual = graph.node('Reshape', ['embedded', 'shape.hidden'], ['residual.0']);
  let normed = addNorm(context, residual, norm(context, 'blk.0.attn_norm.weight'), 'attn_norm.0');
  for (let layer = 0; layer < layers; layer++) {
    const attended = addAttention(context, normed, layer);
    const middle = addSkipNorm(context, residual, attended, `blk.${layer}.ffn_norm.weight`);
    const fed = addFeedForward(context, middle.normed, layer);
    if (layer + 1 < layers) {
      const next = addSkipNorm(context, middle.residual, fed, `blk.${layer + 1}.attn_norm.weight`);
      normed = next.normed;
      residual = next.residual;
    } else {
      residual = graph.node('Add', [middle.residual, fed], ['residual.last']);
    }
    for (const side of ['key', 'value'] as const) {
      graph.input(pastName(layer, side), 'float32', ['B', kvHeads, 'P', headDim]);
      graph.output(presentName(layer, side), 'float32', ['B', kvHeads, 'P', headDim]);
    }
  }
  graph.node('Gather', [residual, 'logit_rows'], ['wanted'], { axis: 0 });
  addNorm(context, 'wanted', norm(context, 'output_norm.weight'), 'output_norm');
  const head = tensors.find('output.weight', [hiddenSize, vocabSize]);
  if (head === undefined) encoder.tiedHead('output_norm', 'logits');
  else encoder.linear('output_norm', [{ tensor: head }], 'logits');
}

function addInputsAndConstants(context: LayerContext): void {
  const { graph, rows, tensors, parameters } = context;
  const { hiddenSize, heads, kvHeads, headDim, feedForwardSize, maxContextTokens, vocabSize } = parameters;
  graph.input('input_ids', 'int64', ['B', 'S']);
  graph.input('seqlens_k', 'int32', ['B']);
  graph.input('total_seq', 'int32', []);
  graph.input('logit_rows', 'int64', ['R']);
  graph.output('logits', 'float32', ['R', vocabSize]);

  graph.int64('shape.hidden', [-1, hiddenSize]);
  graph.int64('shape.heads', [-1, heads * headDim]);
  graph.int64('split.gate_up', [feedForwardSize, feedForwardSize]);
  graph.int64('minus_one', [-1]);
  graph.node('Shape', ['input_ids'], ['shape.ids']);
  graph.node('Concat', ['shape.ids', 'minus_one'], ['shape.batch'], { axis: 0 });
  if (parameters.architecture.qkNorm) {
    graph.int64('shape.head', [-1, headDim]);
    graph.int64('split.qkv', [heads * headDim, kvHeads * headDim, kvHeads * headDim]);
  }

  // One more than a sequence can have: the runner may pad a chunk that ends at the last position.
  const positions = maxContextTokens + 1;
  const factors = tensors.find('rope_freqs.weight', [headDim / 2]);
  const { cos, sin } = ropeTables(
    {
      headDim,
      theta: parameters.ropeTheta,
      positionScale: parameters.ropePositionScale,
      frequencyFactors: factors && rows.vector(factors),
    },
    positions,
  );
  graph.float32('rope.cos', cos, [positions, headDim / 2]);
  graph.float32('rope.sin', sin, [positions, headDim / 2]);
}

function norm(context: LayerContext, name: string, size = context.parameters.hiddenSize): string {
  const weights = context.rows.vector(context.tensors.get(name, [size]));
  return context.graph.float32(name, weights, [size]);
}

function addNorm(context: LayerContext, input: string, weight: string, output: string): string {
  return context.graph.node('SimplifiedLayerNormalization', [input, weight], [output], {
    axis: -1,
    epsilon: { float: context.parameters.normEpsilon },
  });
}

/** residual + delta, and its RMS norm, in one operator. */
function addSkipNorm(
  context: LayerContext,
  residual: string,
  delta: string,
  weightName: string,
): { normed: string; residual: string } {
  const weight = norm(context, weightName);
  const normed = `${weightName}.normed`;
  const sum = `${weightName}.residual`;
  context.graph.node('SkipSimplifiedLayerNormalization', [residual, delta, weight], [normed, '', '', sum], {
    epsilon: { float: context.parameters.normEpsilon },
  });
  return { normed, residual: sum };
}

function addAttention(context: LayerContext, input: string, layer: number): string {
  const { graph, encoder, tensors, parameters } = context;
  const { hiddenSize, heads, kvHeads, headDim, architecture } = parameters;
  const prefix = `blk.${layer}.`;
  const sizes = { q: heads * headDim, k: kvHeads * headDim, v: kvHeads * headDim };
  const part = (side: 'q' | 'k' | 'v'): MatrixPart => ({
    tensor: tensors.get(`${prefix}attn_${side}.weight`, [hiddenSize, sizes[side]]),
    targetRow: architecture.interleavedRope && side !== 'v' ? deinterleavedRow(headDim) : undefined,
  });
  const bias = architecture.qkvBias
    ? concatenated(
        context,
        (['q', 'k', 'v'] as const).map((side) => tensors.get(`${prefix}attn_${side}.bias`, [sizes[side]])),
      )
    : undefined;
  const packed = encoder.linear(input, [part('q'), part('k'), part('v')], `${prefix}qkv`, bias);

  // Without a norm between, attention takes q, k and v packed side by side, which saves a split.
  const queryKeyValue = architecture.qkNorm
    ? addHeadNorms(context, packed, layer)
    : [graph.node('Reshape', [packed, 'shape.batch'], [`${prefix}qkv.batch`]), '', ''];
  const attended = graph.node(
    'GroupQueryAttention',
    [
      ...queryKeyValue,
      pastName(layer, 'key'),
      pastName(layer, 'value'),
      'seqlens_k',
      'total_seq',
      'rope.cos',
      'rope.sin',
    ],
    [`${prefix}attended`, presentName(layer, 'key'), presentName(layer, 'value')],
    {
      num_heads: heads,
      kv_num_heads: kvHeads,
      do_rotary: 1,
      rotary_interleaved: 0,
      scale: { float: 1 / Math.sqrt(headDim) },
    },
  );
  const flat = graph.node('Reshape', [attended, 'shape.heads'], [`${prefix}attended.flat`]);
  const output = tensors.get(`${prefix}attn_output.weight`, [heads * headDim, hiddenSize]);
  return encoder.linear(flat, [{ tensor: output }], `${prefix}attention`);
}

/** Splits packed q, k, v and RMS-normalises every head of q and k. */
function addHeadNorms(context: LayerContext, packed: string, layer: number): string[] {
  const { graph, parameters } = context;
  const prefix = `blk.${layer}.`;
  const sides = ['q', 'k', 'v'] as const;
  graph.node(
    'Split',
    [packed, 'split.qkv'],
    sides.map((side) => prefix + side),
    { axis: -1 },
  );
  return sides.map((side) => {
    let values = prefix + side;
    if (side !== 'v') {
      const perHead = graph.node('Reshape', [values, 'shape.head'], [`${values}.heads`]);
      const weight = norm(context, `${prefix}attn_${side}_norm.weight`, parameters.headDim);
      values = addNorm(context, perHead, weight, `${values}.normed`);
    }
    return graph.node('Reshape', [values, 'shape.batch'], [`${values}.batch`]);
  });
}

function addFeedForward(context: LayerContext, input: string, layer: number): string {
  const { graph, encoder, tensors, parameters } = context;
  const { hiddenSize, feedForwardSize } = parameters;
  const prefix = `blk.${layer}.`;
  const parts = ['ffn_gate', 'ffn_up'].map((name) => ({
    tensor: tensors.get(`${prefix}${name}.weight`, [hiddenSize, feedForwardSize]),
  }));
  const packed = encoder.linear(input, parts, `${prefix}gate_up`);
  const gate = `${prefix}gate`;
  const up = `${prefix}up`;
  graph.node('Split', [packed, 'split.gate_up'], [gate, up], { axis: -1 });
  // With alpha 1, QuickGelu (x · sigmoid(alpha · x)) is SiLU in one operator.
  graph.node('QuickGelu', [gate], [`${gate}.silu`], { alpha: { float: 1 } });
  const gated = graph.node('Mul', [`${gate}.silu`, up], [`${prefix}gated`]);
  const down = tensors.get(`${prefix}ffn_down.weight`, [feedForwardSize, hiddenSize]);
  return encoder.linear(gated, [{ tensor: down }], `${prefix}fed`);
}

function concatenated(context: LayerContext, tensors: readonly GgufTensor[]): Float32Array {
  const vectors = tensors.map((tensor) => context.rows.vector(tensor));
  const whole = new Float32Array(vectors.reduce((sum, vector) => sum + vector.length, 0));
  let start = 0;
  for (const vector of vectors) {
    whole.set(vector, start);
    start += vector.length;
  }
  return whole;
}

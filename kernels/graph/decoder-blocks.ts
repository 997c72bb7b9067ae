import { type DecoderContext, pastName, presentName } from './decoder-context.ts';
import type { TensorKey } from './model-tensors.ts';
import type { OnnxGraph } from './onnx-graph.ts';
import { deinterleavedRow } from './rope.ts';
import type { MatrixPart } from './weight-encoder.ts';

// The parts that architectures are put together from. Each takes and gives names of activations.

export interface AttentionTraits {
  /** q, k and v have biases. */
  readonly qkvBias: boolean;
  /** What of q and k is RMS-normalised before the rotation: nothing, every head by itself, or all heads as one vector. */
  readonly qkNorm: 'none' | 'each-head' | 'together';
}

/** Token ids → activations [B·S × hidden]. */
export function addEmbedding({ graph, encoder, tensors, parameters }: DecoderContext): string {
  const { hiddenSize, vocabSize, embeddingScale } = parameters;
  encoder.embed(tensors.get({ role: 'embedding' }, [hiddenSize, vocabSize]), 'input_ids', 'embedded');
  const flat = graph.node('Reshape', ['embedded', 'shape.hidden'], ['embedded.flat']);
  return addScale(graph, flat, embeddingScale);
}

/** The wanted rows' logits. */
export function addHead(context: DecoderContext, residual: string): void {
  const { graph, encoder, tensors, parameters } = context;
  const { hiddenSize, vocabSize, tiedHead, logitsDivisor, logitsLimit } = parameters;
  graph.node('Gather', [residual, 'logit_rows'], ['wanted'], { axis: 0 });
  // A row has fewer numbers before the projection than behind it.
  const divisor = logitsDivisor * (logitsLimit ?? 1);
  const normed = addScale(graph, addNorm(context, 'wanted', { role: 'outputNorm' }), 1 / divisor);
  const projected = logitsLimit === undefined ? 'logits' : 'logits.unlimited';
  if (tiedHead) encoder.tiedHead(normed, projected);
  else
    encoder.linear(normed, [{ tensor: tensors.get({ role: 'head' }, [hiddenSize, vocabSize]) }], projected);
  if (logitsLimit === undefined) return;
  const limit = graph.float32('logits.limit', new Float32Array([logitsLimit]), [1]);
  graph.node('Mul', [graph.node('Tanh', [projected], ['logits.tanh']), limit], ['logits']);
}

/** RMS norm of rows of `size` numbers. */
export function addNorm(
  context: DecoderContext,
  input: string,
  key: TensorKey,
  size = context.parameters.hiddenSize,
): string {
  return context.graph.node(
    'SimplifiedLayerNormalization',
    [input, normWeight(context, key, size)],
    [`${nodeName(key)}.normed`],
    { axis: -1, epsilon: { float: context.parameters.normEpsilon } },
  );
}

/** residual + delta, and its RMS norm, in one operator. */
export function addSkipNorm(
  context: DecoderContext,
  residual: string,
  delta: string,
  key: TensorKey,
): { normed: string; residual: string } {
  const normed = `${nodeName(key)}.normed`;
  const sum = `${nodeName(key)}.residual`;
  context.graph.node(
    'SkipSimplifiedLayerNormalization',
    [residual, delta, normWeight(context, key, context.parameters.hiddenSize)],
    [normed, '', '', sum],
    { epsilon: { float: context.parameters.normEpsilon } },
  );
  return { normed, residual: sum };
}

/** Causal attention with rotary embeddings over the KV memory of the layer. */
export function addAttention(
  context: DecoderContext,
  input: string,
  layer: number,
  { qkvBias, qkNorm }: AttentionTraits,
): string {
  const { graph, encoder, tensors, rows, parameters, interleavedRope } = context;
  const { hiddenSize, heads, kvHeads, headDim, attentionScale, attentionLimit } = parameters;
  const prefix = `layer.${layer}.`;
  const sides = [
    { role: 'query', size: heads * headDim, rotated: true },
    { role: 'key', size: kvHeads * headDim, rotated: true },
    { role: 'value', size: kvHeads * headDim, rotated: false },
  ] as const;
  const matrices = tensors.getStacked(
    sides.map(({ role }) => ({ role, layer })),
    hiddenSize,
    sides.map(({ size }) => size),
  );
  const parts = sides.map(
    ({ rotated }, i): MatrixPart => ({
      tensor: matrices[i]!,
      targetRow: interleavedRope && rotated ? deinterleavedRow(headDim) : undefined,
    }),
  );
  const biases = sides.map(({ role, size }) =>
    qkvBias ? rows.vector(tensors.get({ role, layer, kind: 'bias' }, [size])) : new Float32Array(0),
  );
  const packed = encoder.linear(input, parts, `${prefix}qkv`, qkvBias ? concatenated(biases) : undefined);

  // Without a norm between, attention takes q, k and v packed side by side, which saves a split.
  const queryKeyValue =
    qkNorm === 'none'
      ? [graph.node('Reshape', [packed, 'shape.batch'], [`${prefix}qkv.batch`]), '', '']
      : addQueryKeyNorms(context, packed, layer, qkNorm);
  const rotates = parameters.rotates(layer);
  const local = parameters.localLayers?.includes(layer) ? parameters.localLayers : undefined;
  const rope = local?.rope === undefined ? 'rope' : 'rope.local';
  const attended = graph.node(
    'GroupQueryAttention',
    [
      ...queryKeyValue,
      pastName(layer, 'key'),
      pastName(layer, 'value'),
      'seqlens_k',
      'total_seq',
      ...(rotates ? [`${rope}.cos`, `${rope}.sin`] : []),
    ],
    [`${prefix}attended`, presentName(layer, 'key'), presentName(layer, 'value')],
    {
      num_heads: heads,
      kv_num_heads: kvHeads,
      do_rotary: rotates ? 1 : 0,
      rotary_interleaved: 0,
      scale: { float: attentionScale },
      ...(local === undefined ? {} : { local_window_size: local.windowTokens }),
      ...(attentionLimit === undefined ? {} : { softcap: { float: attentionLimit } }),
    },
  );
  const flat = graph.node('Reshape', [attended, 'shape.heads'], [`${prefix}attended.flat`]);
  const output = tensors.get({ role: 'attentionOutput', layer }, [heads * headDim, hiddenSize]);
  return encoder.linear(flat, [{ tensor: output }], `${prefix}attention`);
}

/** Splits packed q, k, v and RMS-normalises q and k. */
function addQueryKeyNorms(
  context: DecoderContext,
  packed: string,
  layer: number,
  over: 'each-head' | 'together',
): string[] {
  const { graph, parameters } = context;
  const { heads, kvHeads, headDim } = parameters;
  const prefix = `layer.${layer}.`;
  const widths = [heads * headDim, kvHeads * headDim, kvHeads * headDim];
  const names = ['query', 'key', 'value'].map((side) => prefix + side);
  graph.node('Split', [packed, graph.int64(`${prefix}split.qkv`, widths)], names, { axis: -1 });
  const perHeadShape = over === 'each-head' ? graph.int64(`${prefix}shape.head`, [-1, headDim]) : undefined;
  const normed = (['queryNorm', 'keyNorm'] as const).map((role, i) => {
    if (perHeadShape === undefined) return addNorm(context, names[i]!, { role, layer }, widths[i]!);
    const perHead = graph.node('Reshape', [names[i]!, perHeadShape], [`${names[i]}.heads`]);
    return addNorm(context, perHead, { role, layer }, headDim);
  });
  return [...normed, names[2]!].map((values) =>
    graph.node('Reshape', [values, 'shape.batch'], [`${values}.batch`]),
  );
}

/** What gates in feed-forwards: x · sigmoid(x), or the Gaussian error linear unit as tanh approximates it. */
export type Activation = 'silu' | 'gelu-tanh';

/** down · (activation(gate · x) ⊙ up · x) */
export function addFeedForward(
  context: DecoderContext,
  input: string,
  layer: number,
  activation: Activation = 'silu',
): string {
  const { graph, encoder, tensors, parameters } = context;
  const { hiddenSize, feedForwardSize } = parameters;
  const prefix = `layer.${layer}.`;
  const sides = (['gate', 'up'] as const).map((role) => ({ role, layer }));
  const sizes = sides.map(() => feedForwardSize);
  const parts = tensors.getStacked(sides, hiddenSize, sizes).map((tensor) => ({ tensor }));
  const packed = encoder.linear(input, parts, `${prefix}gate_up`);
  const splitSizes = graph.int64(`${prefix}split.gate_up`, sizes);
  graph.node('Split', [packed, splitSizes], [`${prefix}gate`, `${prefix}up`], { axis: -1 });
  // With alpha 1, QuickGelu (x · sigmoid(alpha · x)) is SiLU in one operator.
  const activated =
    activation === 'silu'
      ? graph.node('QuickGelu', [`${prefix}gate`], [`${prefix}gate.silu`], { alpha: { float: 1 } })
      : graph.node('FastGelu', [`${prefix}gate`], [`${prefix}gate.gelu`]);
  const gated = graph.node('Mul', [activated, `${prefix}up`], [`${prefix}gated`]);
  const down = tensors.get({ role: 'down', layer }, [feedForwardSize, hiddenSize]);
  return encoder.linear(gated, [{ tensor: down }], `${prefix}fed`);
}

/** input · scale; nothing where that is 1. */
export function addScale(graph: OnnxGraph, input: string, scale: number): string {
  if (scale === 1) return input;
  const factor = graph.float32(`${input}.scale`, new Float32Array([scale]), [1]);
  return graph.node('Mul', [input, factor], [`${input}.scaled`]);
}

function normWeight(context: DecoderContext, key: TensorKey, size: number): string {
  const { normOffset } = context.parameters;
  const weights = context.rows.vector(context.tensors.get(key, [size]));
  return context.graph.float32(
    nodeName(key),
    weights.map((weight) => weight + normOffset),
    [size],
  );
}

function nodeName({ role, layer }: TensorKey): string {
  return layer === undefined ? role : `layer.${layer}.${role}`;
}

function concatenated(vectors: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(vectors.reduce((sum, vector) => sum + vector.length, 0));
  let start = 0;
  for (const vector of vectors) {
    whole.set(vector, start);
    start += vector.length;
  }
  return whole;
}

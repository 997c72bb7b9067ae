import type { TensorRows } from '../weights/tensor-rows.ts';
import type { Hyperparameters } from './hyperparameters.ts';
import type { ModelTensors } from './model-tensors.ts';
import type { OnnxGraph } from './onnx-graph.ts';
import { ropeTables } from './rope.ts';
import type { WeightEncoder } from './weight-encoder.ts';

/** What the parts of a decoder are added with. */
export interface DecoderContext {
  readonly graph: OnnxGraph;
  readonly encoder: WeightEncoder;
  readonly rows: TensorRows;
  readonly tensors: ModelTensors;
  readonly parameters: Hyperparameters;
  /** Rows of q and k come in the order of interleaved rotary embeddings. */
  readonly interleavedRope: boolean;
}

/** Names of graph inputs and outputs: a layer's KV memory before and after a step. */
export const pastName = (layer: number, side: 'key' | 'value') => `past.${layer}.${side}`;
export const presentName = (layer: number, side: 'key' | 'value') => `present.${layer}.${side}`;

/**
 * Declares what every decoder graph takes and gives, and the constants that its parts share.
 *
 * Inputs: `input_ids` i64 [B × S]; `seqlens_k` i32 [B], past + S − 1; `total_seq` i32 scalar, max(past) + S;
 * `logit_rows` i64 [R], flat rows b·S + s; KV f32 [B × kvHeads × P × headDim] for each layer and side.
 * Outputs: `logits` f32 [R × V] and the KV again, to be bound to the same memory.
 * Activations are [B·S × columns] throughout; only attention sees three dimensions.
 */
export function addDecoderInputs(context: DecoderContext): void {
  const { graph, parameters } = context;
  const { layers, hiddenSize, heads, kvHeads, headDim, vocabSize } = parameters;
  graph.input('input_ids', 'int64', ['B', 'S']);
  graph.input('seqlens_k', 'int32', ['B']);
  graph.input('total_seq', 'int32', []);
  graph.input('logit_rows', 'int64', ['R']);
  graph.output('logits', 'float32', ['R', vocabSize]);
  for (let layer = 0; layer < layers; layer++) {
    for (const side of ['key', 'value'] as const) {
      graph.input(pastName(layer, side), 'float32', ['B', kvHeads, 'P', headDim]);
      graph.output(presentName(layer, side), 'float32', ['B', kvHeads, 'P', headDim]);
    }
  }
  graph.int64('shape.hidden', [-1, hiddenSize]);
  graph.int64('shape.heads', [-1, heads * headDim]);
  graph.int64('minus_one', [-1]);
  graph.node('Shape', ['input_ids'], ['shape.ids']);
  graph.node('Concat', ['shape.ids', 'minus_one'], ['shape.batch'], { axis: 0 });
  addRopeTables(context);
}

function addRopeTables({ graph, rows, tensors, parameters }: DecoderContext): void {
  const { maxContextTokens, rope } = parameters;
  const half = rope.dims / 2;
  // One more than a sequence can have: the runner may pad a chunk that ends at the last position.
  const positions = maxContextTokens + 1;
  const inFile = tensors.find({ role: 'ropeFactors' }, [half]);
  // The context is kept below what they are for.
  tensors.find({ role: 'longRopeFactors' }, [half]);
  const frequencyFactors = inFile === undefined ? rope.frequencyFactors : rows.vector(inFile);
  const tables = { rope: { ...rope, frequencyFactors }, 'rope.local': parameters.localLayers?.rope };
  for (const [name, settings] of Object.entries(tables)) {
    if (settings === undefined) continue;
    const { cos, sin } = ropeTables(settings, positions);
    graph.float32(`${name}.cos`, cos, [positions, settings.dims / 2]);
    graph.float32(`${name}.sin`, sin, [positions, settings.dims / 2]);
  }
}

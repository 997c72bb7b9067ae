import type { WeightTensor } from '../weights/weight-tensor.ts';

/** A matrix that is stacked with others below one another into one operator. */
export interface MatrixPart {
  readonly tensor: WeightTensor;
  /** Where a row of the file goes within this part; rows stay where they are without it. */
  readonly targetRow?: ((row: number) => number) | undefined;
}

/** How a graph variant stores weights and which operators use them. Activations are [tokens × columns]. */
export interface WeightEncoder {
  /** output = input · Wᵀ + bias, W being the parts stacked. Returns `output`. */
  linear(input: string, parts: readonly MatrixPart[], output: string, bias?: Float32Array): string;
  /** Looks up rows of the embedding: ids [B × S] → output [B × S × H]. */
  embed(tensor: WeightTensor, ids: string, output: string): string;
  /** The output projection with the weights of the embedding that `embed` was called with. */
  tiedHead(input: string, output: string): string;
}

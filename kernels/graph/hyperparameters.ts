import type { Settings } from './settings.ts';

/** The numbers of a decoder. */
export interface Hyperparameters {
  readonly layers: number;
  readonly hiddenSize: number;
  readonly feedForwardSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly maxContextTokens: number;
  readonly rope: RopeSettings;
  /** Whether q and k of a layer are rotated. */
  readonly rotates: (layer: number) => boolean;
  /** Undefined: all layers see everything. */
  readonly localLayers: LocalLayers | undefined;
  readonly normEpsilon: number;
  /** Added to the weights of all norms. */
  readonly normOffset: number;
  /** What q · k is multiplied by. */
  readonly attentionScale: number;
  /** Softly limit q · k, so multiplied, and the logits: limit · tanh(x / limit). Undefined: they are as they are. */
  readonly attentionLimit: number | undefined;
  readonly logitsLimit: number | undefined;
  /** What embeddings, and all that is added to them, are multiplied by; what logits are divided by. 1: nothing is done. */
  readonly embeddingScale: number;
  readonly residualScale: number;
  readonly logitsDivisor: number;
  /** The output projection has the weights of the embedding. */
  readonly tiedHead: boolean;
}

export interface RopeSettings {
  readonly theta: number;
  /** So many numbers of each head are rotated, the first ones; the others stay. */
  readonly dims: number;
  /** Positions are divided by this (linear position interpolation); 1 is off. */
  readonly positionScale: number;
  /** Divisors of the frequencies [dims / 2]; undefined: all 1, or a tensor of the file has them. */
  readonly frequencyFactors: Float32Array | undefined;
  /** What is rotated is multiplied by this. */
  readonly amplitude: number;
}

/** Layers whose tokens see themselves and those just before. */
export interface LocalLayers {
  readonly includes: (layer: number) => boolean;
  /** Tokens that are seen, the one itself included. */
  readonly windowTokens: number;
  /** Undefined: that of the other layers. */
  readonly rope: RopeSettings | undefined;
}

export const MAX_LAYERS = 1024;
export const MAX_SIZE = 2 ** 20;
export const MAX_CONTEXT_TOKENS = 2 ** 20;
export const DEFAULT_ROPE_THETA = 10000;
/** What ONNX Runtime demands where not the whole head is rotated. */
const ROTATED_TOGETHER = 16;

/** The sizes of attention. */
export type HeadSizes = Pick<Hyperparameters, 'hiddenSize' | 'heads' | 'kvHeads' | 'headDim'>;

/** By the names that a kind of file has for them. Throws ModelFileError for impossible ones. */
export function readHeadSizes(
  settings: Settings,
  keys: Readonly<Record<keyof HeadSizes, string>>,
): HeadSizes {
  const hiddenSize = settings.integer(keys.hiddenSize, MAX_SIZE);
  const heads = settings.integer(keys.heads, MAX_SIZE);
  const kvHeads = settings.integer(keys.kvHeads, heads, heads);
  const headDim = settings.integer(keys.headDim, MAX_SIZE, hiddenSize / heads);
  if (heads % kvHeads !== 0) throw settings.error(`${heads} heads cannot share ${kvHeads} KV heads`);
  if (headDim % 2 !== 0) throw settings.error(`the head size ${headDim} is odd`);
  return { hiddenSize, heads, kvHeads, headDim };
}

/** What is so unless the architecture says otherwise. */
export function commonTraits({ headDim }: HeadSizes) {
  return {
    rotates: () => true,
    localLayers: undefined,
    normOffset: 0,
    attentionScale: 1 / Math.sqrt(headDim),
    attentionLimit: undefined,
    logitsLimit: undefined,
    embeddingScale: 1,
    residualScale: 1,
    logitsDivisor: 1,
  };
}

/** Throws ModelFileError unless the kernels can rotate `dims` numbers of each head. */
export function checkedRotatedDims(settings: Settings, headDim: number, dims: number): number {
  if (dims === headDim || (dims > 0 && dims < headDim && dims % ROTATED_TOGETHER === 0)) return dims;
  throw settings.error(
    `${dims} of ${headDim} numbers of each head are to be rotated: only all of them, or a multiple of ${ROTATED_TOGETHER}, are supported`,
  );
}

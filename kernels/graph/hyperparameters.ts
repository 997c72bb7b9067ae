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
  readonly normEpsilon: number;
  /** The output projection has the weights of the embedding. */
  readonly tiedHead: boolean;
}

export interface RopeSettings {
  readonly theta: number;
  /** Positions are divided by this (linear position interpolation); 1 is off. */
  readonly positionScale: number;
  /** Divisors of the frequencies [headDim / 2]; undefined: all 1, or a tensor of the file has them. */
  readonly frequencyFactors: Float32Array | undefined;
}

export const MAX_LAYERS = 1024;
export const MAX_SIZE = 2 ** 20;
export const MAX_CONTEXT_TOKENS = 2 ** 20;
export const DEFAULT_ROPE_THETA = 10000;

type HeadKeys = Readonly<Record<'hiddenSize' | 'heads' | 'kvHeads' | 'headDim', string>>;

/** The sizes of attention, by the names that a kind of file has for them. Throws ModelFileError for impossible ones. */
export function readHeadSizes(
  settings: Settings,
  keys: HeadKeys,
): Pick<Hyperparameters, 'hiddenSize' | 'heads' | 'kvHeads' | 'headDim'> {
  const hiddenSize = settings.integer(keys.hiddenSize, MAX_SIZE);
  const heads = settings.integer(keys.heads, MAX_SIZE);
  const kvHeads = settings.integer(keys.kvHeads, heads, heads);
  const headDim = settings.integer(keys.headDim, MAX_SIZE, hiddenSize / heads);
  if (heads % kvHeads !== 0) throw settings.error(`${heads} heads cannot share ${kvHeads} KV heads`);
  if (headDim % 2 !== 0) throw settings.error(`the head size ${headDim} is odd`);
  return { hiddenSize, heads, kvHeads, headDim };
}

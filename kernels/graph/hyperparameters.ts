import type { GgufFile } from '../gguf/reader.ts';
import { ModelFileError } from '../model-file-error.ts';
import type { Architecture } from './architectures/architecture.ts';
import { ARCHITECTURES } from './architectures/table.ts';

/** The numbers of a decoder, as its metadata gives them. */
export interface Hyperparameters {
  readonly architecture: Architecture;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly feedForwardSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly maxContextTokens: number;
  readonly ropeTheta: number;
  /** Positions are divided by this (linear position interpolation); 1 is off. */
  readonly ropePositionScale: number;
  readonly normEpsilon: number;
}

const MAX_LAYERS = 1024;
const MAX_SIZE = 2 ** 20;
const MAX_CONTEXT_TOKENS = 2 ** 20;
const DEFAULT_ROPE_THETA = 10000;

/** Throws ModelFileError when a value is missing, absurd, or asks for something that the graph cannot do. */
export function readHyperparameters(gguf: GgufFile): Hyperparameters {
  const name = gguf.metadata.get('general.architecture');
  const architecture = typeof name === 'string' ? ARCHITECTURES.get(name) : undefined;
  if (architecture === undefined)
    throw new ModelFileError(
      gguf.path,
      `the architecture ${String(name)} is not supported (${[...ARCHITECTURES.keys()].join(', ')} are)`,
    );
  const metadata = new ArchitectureMetadata(gguf, architecture.name);

  const hiddenSize = metadata.integer('embedding_length', MAX_SIZE);
  const heads = metadata.integer('attention.head_count', MAX_SIZE);
  const kvHeads = metadata.integer('attention.head_count_kv', heads, heads);
  const headDim = metadata.integer('attention.key_length', MAX_SIZE, hiddenSize / heads);
  metadata.demand('attention.value_length', headDim);
  metadata.demand('rope.dimension_count', headDim);
  metadata.demand('expert_count', 0);
  if (heads % kvHeads !== 0) throw metadata.error(`${heads} heads cannot share ${kvHeads} KV heads`);
  if (headDim % 2 !== 0) throw metadata.error(`the head size ${headDim} is odd`);

  const embedding = gguf.tensors.get('token_embd.weight');
  if (embedding === undefined) throw metadata.error('the tensor token_embd.weight is missing');
  return {
    architecture,
    layers: metadata.integer('block_count', MAX_LAYERS),
    hiddenSize,
    feedForwardSize: metadata.integer('feed_forward_length', MAX_SIZE),
    heads,
    kvHeads,
    headDim,
    vocabSize: embedding.dims[1] ?? 0,
    maxContextTokens: metadata.integer('context_length', MAX_CONTEXT_TOKENS),
    ropeTheta: metadata.positive('rope.freq_base', DEFAULT_ROPE_THETA),
    ropePositionScale: ropePositionScale(metadata),
    normEpsilon: metadata.positive('attention.layer_norm_rms_epsilon'),
  };
}

function ropePositionScale(metadata: ArchitectureMetadata): number {
  const kind = metadata.value('rope.scaling.type') ?? 'none';
  if (kind === 'none') return 1;
  if (kind === 'linear') return metadata.positive('rope.scaling.factor', 1);
  throw metadata.error(`the rotary scaling ${String(kind)} is not supported (none and linear are)`);
}

/** Typed access to the keys below an architecture's prefix. */
class ArchitectureMetadata {
  readonly #gguf: GgufFile;
  readonly #prefix: string;

  constructor(gguf: GgufFile, prefix: string) {
    this.#gguf = gguf;
    this.#prefix = prefix;
  }

  value(key: string): unknown {
    return this.#gguf.metadata.get(`${this.#prefix}.${key}`);
  }

  integer(key: string, max: number, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > max)
      throw this.error(`${this.#prefix}.${key} is ${String(value)}, not an integer from 1 to ${max}`);
    return value;
  }

  positive(key: string, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value))
      throw this.error(`${this.#prefix}.${key} is ${String(value)}, not a positive number`);
    return value;
  }

  /** Where the key is present, it must have the one value that the graph can do. */
  demand(key: string, expected: number): void {
    const value = this.value(key) ?? expected;
    if (value !== expected)
      throw this.error(`${this.#prefix}.${key} is ${String(value)}: only ${expected} is supported here`);
  }

  error(problem: string): ModelFileError {
    return new ModelFileError(this.#gguf.path, problem);
  }
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../kernels/random.ts';
import { TINY, tinyMetadata } from './engine/tiny-vocabulary.ts';
import { ggufBytes, type MetadataEntry, type TensorEntry } from './fixtures/gguf-writer.ts';
import { tinyModel } from './fixtures/tiny-model.ts';

const HIDDEN = 64;

/**
 * Writes a chat model of random weights with a tokenizer and a template: it says nothing of sense, but all that lies between a
 * request and its reply is real. A megabyte in memory, loaded within the time that a process takes to start.
 */
export function writeTinyChatModel(path: string, options: { readonly seed?: number } = {}): string {
  const { seed = 1 } = options;
  const { metadata, tensors } = tinyModel({ architecture: 'llama', contextTokens: 512, seed });
  const random = seededRandom(seed);
  const embeddings = Float32Array.from({ length: HIDDEN * TINY.size }, () => random() - 0.5);
  const embedding: TensorEntry = {
    name: 'token_embd.weight',
    dims: [HIDDEN, TINY.size],
    type: 0,
    data: new Uint8Array(embeddings.buffer),
  };
  const tokenizer = [...tinyMetadata()].map(([key, value]) => [key, entryOf(value)] as const);
  const bytes = ggufBytes({
    metadata: { ...metadata, ...Object.fromEntries(tokenizer) },
    tensors: [embedding, ...tensors.filter(({ name }) => name !== embedding.name)],
  });
  writeFileSync(path, bytes);
  return path;
}

function entryOf(value: unknown): MetadataEntry {
  if (typeof value === 'string') return { type: 'string', value };
  if (typeof value === 'number') return { type: 'u32', value };
  const list = value as readonly (string | number)[];
  return typeof list[0] === 'string'
    ? { type: 'strings', value: list as readonly string[] }
    : { type: 'i32s', value: list as readonly number[] };
}

/** The settings of an engine that serves such a model: of about 200 MiB, nearly all of which is the process. */
export function tinyChatEngine(folder: string, name: string, settings: object = {}) {
  const path = writeTinyChatModel(join(folder, `${name}.gguf`));
  return { name, path, threads: 1, slots: 2, prefixCacheBytes: 0, ...settings };
}

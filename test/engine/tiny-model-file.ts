import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ggufBytes, type MetadataEntry } from '../fixtures/gguf-writer.ts';
import { tinyModel } from '../fixtures/tiny-model.ts';
import { TINY, tinyMetadata } from './tiny-vocabulary.ts';

/** Writes a model of random weights with a tokenizer and a chat template, which an engine can serve. Returns its path. */
export function tinyModelFile(folder: string): string {
  const { metadata, tensors } = tinyModel({
    architecture: 'llama',
    vocabSize: TINY.size,
    contextTokens: 256,
  });
  const path = join(folder, 'tiny.gguf');
  const tokenizer = Object.fromEntries([...tinyMetadata()].map(([key, value]) => [key, entryOf(value)]));
  writeFileSync(path, ggufBytes({ metadata: { ...metadata, ...tokenizer }, tensors }));
  return path;
}

function entryOf(value: unknown): MetadataEntry {
  if (typeof value === 'number') return { type: 'u32', value };
  if (typeof value === 'string') return { type: 'string', value };
  const [first] = value as readonly unknown[];
  return typeof first === 'number'
    ? { type: 'i32s', value: value as readonly number[] }
    : { type: 'strings', value: value as readonly string[] };
}

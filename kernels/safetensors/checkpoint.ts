import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ModelFileError } from '../model-file-error.ts';
import type { WeightTensor } from '../weights/weight-tensor.ts';
import { readSafetensors } from './header.ts';
import { isJsonObject, readJsonObject } from './json-file.ts';

const WHOLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';
const MAX_INDEX_BYTES = 64 * 2 ** 20;
const MAX_SHARDS = 4096;

/** A name without a way to other folders. */
const SHARD_NAME = /^[\w][\w.-]*\.safetensors$/;

/** Paths of the weight files of a Hugging Face model directory, the index of several first. Throws ModelFileError. */
export function weightFiles(directory: string): readonly string[] {
  const whole = join(directory, WHOLE_FILE);
  if (existsSync(whole)) return [whole];
  const shards = new Set(readIndex(directory).values());
  return [join(directory, INDEX_FILE), ...[...shards].map((shard) => join(directory, shard))];
}

/**
 * The tensors of a Hugging Face model directory: of its `model.safetensors`, or of the shards that
 * `model.safetensors.index.json` names. Throws ModelFileError for what is missing or damaged.
 */
export function readCheckpoint(directory: string): ReadonlyMap<string, WeightTensor> {
  const whole = join(directory, WHOLE_FILE);
  if (existsSync(whole)) return readSafetensors(whole);
  const index = readIndex(directory);
  const shards = new Map([...new Set(index.values())].map((name) => [name, readShard(directory, name)]));
  return new Map(
    [...index].map(([name, shard]) => {
      const tensor = shards.get(shard)!.get(name);
      if (tensor === undefined)
        throw new ModelFileError(
          join(directory, shard),
          `the tensor ${name} is missing, which ${INDEX_FILE} says is here`,
        );
      return [name, tensor];
    }),
  );
}

function readShard(directory: string, name: string): ReadonlyMap<string, WeightTensor> {
  const path = join(directory, name);
  if (!existsSync(path))
    throw new ModelFileError(path, `the file is missing, which ${INDEX_FILE} names as a part of the model`);
  return readSafetensors(path);
}

/** Tensor name → file name. */
function readIndex(directory: string): ReadonlyMap<string, string> {
  const path = join(directory, INDEX_FILE);
  const index = readJsonObject(path, MAX_INDEX_BYTES);
  if (index === undefined)
    throw new ModelFileError(directory, `it has neither ${WHOLE_FILE} nor ${INDEX_FILE}`);
  const { weight_map: map } = index;
  if (!isJsonObject(map)) throw new ModelFileError(path, 'it has no weight_map');
  const entries = Object.entries(map);
  for (const [name, shard] of entries)
    if (typeof shard !== 'string' || !SHARD_NAME.test(shard))
      throw new ModelFileError(path, `the tensor ${name.slice(0, 512)} is said to be in no proper file name`);
  const shards = new Set(entries.map(([, shard]) => shard));
  if (shards.size > MAX_SHARDS)
    throw new ModelFileError(path, `it names ${shards.size} files, more than the ${MAX_SHARDS} allowed`);
  return new Map(entries as [string, string][]);
}

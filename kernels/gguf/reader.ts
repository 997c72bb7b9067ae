import { closeSync, fstatSync, openSync } from 'node:fs';
import { ModelFileError, notOpened } from '../model-file-error.ts';
import type { WeightTensor } from '../weights/weight-tensor.ts';
import { HeaderCursor } from './header-cursor.ts';
import { TENSOR_TYPES, tensorTypeName } from './tensor-types.ts';

/** A metadata value. 64-bit integers become numbers (they hold sizes and ids, far below 2^53). */
type GgufValue = number | boolean | string | readonly GgufValue[];

export interface GgufFile {
  readonly path: string;
  readonly version: number;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  /** Such as `general.architecture`, `tokenizer.ggml.tokens`, `tokenizer.chat_template`. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, WeightTensor>;
}

const MAGIC = 0x46554747; // 'GGUF'
const MAX_METADATA_VALUES = 2 ** 22;
const MAX_METADATA_KEYS = 2 ** 16;
const MAX_TENSORS = 2 ** 16;
const MAX_KEY_BYTES = 2 ** 16;
const MAX_TENSOR_NAME_BYTES = 256;
const MAX_DIMENSIONS = 4;
const MAX_ARRAY_DEPTH = 3;
const DEFAULT_ALIGNMENT = 32;

/**
 * Reads the header, metadata and tensor table of a GGUF file (version 2 or 3); weights stay in the file. Throws
 * ModelFileError for anything damaged, truncated or not supported. Source: ggml's docs/gguf.md.
 */
export function readGguf(path: string): GgufFile {
  let fileDescriptor: number;
  try {
    fileDescriptor = openSync(path, 'r');
  } catch (cause) {
    throw notOpened(path, cause);
  }
  try {
    const stat = fstatSync(fileDescriptor);
    if (!stat.isFile()) throw new ModelFileError(path, 'this is not a regular file');
    const cursor = new HeaderCursor(path, fileDescriptor, stat.size);
    return { path, sizeBytes: stat.size, mtimeMs: stat.mtimeMs, ...readHeader(cursor, path, stat.size) };
  } finally {
    closeSync(fileDescriptor);
  }
}

function readHeader(cursor: HeaderCursor, path: string, fileBytes: number) {
  if (cursor.u32('the magic number') !== MAGIC)
    throw cursor.error('this is not a GGUF file: the magic number is missing', 0);
  const version = cursor.u32('the version');
  if (version !== 2 && version !== 3)
    throw cursor.error(`GGUF version ${version} is not supported (2 and 3 are, little-endian)`, 4);
  const tensorCount = boundedCount(cursor, 'tensors', MAX_TENSORS);
  const keyCount = boundedCount(cursor, 'metadata keys', MAX_METADATA_KEYS);
  const metadata = readMetadata(cursor, keyCount);
  const entries = readTensorTable(cursor, tensorCount);

  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== 'number' || alignment < 8 || alignment > 2 ** 20 || alignment % 8 !== 0)
    throw cursor.error(`general.alignment is ${String(alignment)}, not a multiple of 8`);
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = new Map<string, WeightTensor>();
  for (const entry of entries) {
    if (entry.offset % alignment !== 0)
      throw cursor.error(`tensor ${entry.name} starts at ${entry.offset}, not a multiple of ${alignment}`);
    const offset = dataStart + entry.offset;
    if (offset + entry.sizeBytes > fileBytes)
      throw cursor.error(
        `tensor ${entry.name} would end at byte ${offset + entry.sizeBytes} of ${fileBytes}: the file is truncated or damaged`,
        offset,
      );
    tensors.set(entry.name, { ...entry, path, offset });
  }
  return { version, metadata, tensors };
}

function boundedCount(cursor: HeaderCursor, what: string, max: number): number {
  const at = cursor.position;
  const count = cursor.u64(`the number of ${what}`);
  if (count > max) throw cursor.error(`the file claims ${count} ${what}, more than the ${max} allowed`, at);
  return count;
}

function readMetadata(cursor: HeaderCursor, keyCount: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  const budget = { values: MAX_METADATA_VALUES };
  for (let i = 0; i < keyCount; i++) {
    const at = cursor.position;
    const key = cursor.string(`metadata key ${i}`, MAX_KEY_BYTES);
    if (metadata.has(key)) throw cursor.error(`metadata key ${key} occurs twice`, at);
    const type = cursor.u32(`the type of ${key}`);
    metadata.set(key, readValue(cursor, type, key, budget, 0));
  }
  return metadata;
}

const ARRAY_TYPE = 9;

function readValue(
  cursor: HeaderCursor,
  type: number,
  key: string,
  budget: { values: number },
  depth: number,
): GgufValue {
  if (type === ARRAY_TYPE) return readArray(cursor, key, budget, depth);
  const read = SCALAR_READERS[type];
  if (read === undefined) throw cursor.error(`${key} has the unknown metadata type ${type}`);
  return read(cursor, key);
}

function readArray(
  cursor: HeaderCursor,
  key: string,
  budget: { values: number },
  depth: number,
): GgufValue[] {
  const at = cursor.position;
  if (depth >= MAX_ARRAY_DEPTH) throw cursor.error(`${key} nests arrays too deeply`, at);
  const type = cursor.u32(`the element type of ${key}`);
  const count = cursor.u64(`the length of ${key}`);
  // Every element takes at least a byte, so a longer array cannot be in the file.
  if (count > budget.values || count > cursor.remainingBytes)
    throw cursor.error(`${key} claims ${count} elements, more than the file can hold or is allowed`, at);
  budget.values -= count;
  const values: GgufValue[] = [];
  for (let i = 0; i < count; i++) values.push(readValue(cursor, type, key, budget, depth + 1));
  return values;
}

const SCALAR_READERS: Readonly<Record<number, (cursor: HeaderCursor, key: string) => GgufValue>> = {
  0: (cursor, key) => cursor.u8(key),
  1: (cursor, key) => cursor.i8(key),
  2: (cursor, key) => cursor.u16(key),
  3: (cursor, key) => cursor.i16(key),
  4: (cursor, key) => cursor.u32(key),
  5: (cursor, key) => cursor.i32(key),
  6: (cursor, key) => cursor.f32(key),
  7: (cursor, key) => cursor.u8(key) !== 0,
  8: (cursor, key) => cursor.string(key),
  10: (cursor, key) => cursor.u64(key),
  11: (cursor, key) => cursor.i64(key),
  12: (cursor, key) => cursor.f64(key),
};

/** `offset` is still relative to the data section here. */
type TensorEntry = Omit<WeightTensor, 'path'>;

function readTensorTable(cursor: HeaderCursor, tensorCount: number): TensorEntry[] {
  const entries: TensorEntry[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const at = cursor.position;
    const name = cursor.string(`the name of tensor ${i}`, MAX_TENSOR_NAME_BYTES);
    if (names.has(name)) throw cursor.error(`tensor ${name} occurs twice`, at);
    names.add(name);
    entries.push(readTensorEntry(cursor, name));
  }
  return entries;
}

function readTensorEntry(cursor: HeaderCursor, name: string): TensorEntry {
  const at = cursor.position;
  const rank = cursor.u32(`the rank of ${name}`);
  if (rank < 1 || rank > MAX_DIMENSIONS) throw cursor.error(`tensor ${name} has ${rank} dimensions`, at);
  const dims: number[] = [];
  let elements = 1;
  for (let i = 0; i < rank; i++) {
    const dim = cursor.u64(`the shape of ${name}`);
    dims.push(dim);
    elements *= dim;
  }
  if (elements < 1 || !Number.isSafeInteger(elements))
    throw cursor.error(`tensor ${name} has the impossible shape [${dims.join(', ')}]`, at);
  const typeId = cursor.u32(`the type of ${name}`);
  const type = TENSOR_TYPES.get(typeId);
  if (type === undefined) {
    const supported = [...TENSOR_TYPES.values()].map((each) => each.name).join(', ');
    throw cursor.error(
      `tensor ${name} has the quantisation ${tensorTypeName(typeId)}, which is not supported (${supported} are)`,
      at,
    );
  }
  if (dims[0]! % type.blockElements !== 0)
    throw cursor.error(
      `tensor ${name} has rows of ${dims[0]}, not whole ${type.name} blocks of ${type.blockElements}`,
      at,
    );
  const offset = cursor.u64(`the offset of ${name}`);
  return {
    name,
    dims,
    type: type.name,
    offset,
    sizeBytes: (elements / type.blockElements) * type.blockBytes,
  };
}

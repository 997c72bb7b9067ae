import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { ModelFileError, notOpened } from '../model-file-error.ts';
import type { WeightTensor } from '../weights/weight-tensor.ts';
import { isJsonObject, parseJsonObject } from './json-file.ts';

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
const LENGTH_BYTES = 8;
const MAX_TENSORS = 2 ** 16;
const MAX_NAME_CHARS = 512;
const MAX_DIMENSIONS = 8;

/** Bytes per weight of the types that can be read. Their names are those of ggml, too. */
const TYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ['F32', 4],
  ['F16', 2],
  ['BF16', 2],
]);

/**
 * The tensors of a safetensors file; weights stay in the file. Throws ModelFileError for anything damaged, truncated or
 * not supported. Every byte of the data must belong to one tensor, as the format demands: what overlaps or leaves holes
 * is refused. Source: the format's description in the repository huggingface/safetensors.
 */
export function readSafetensors(path: string): ReadonlyMap<string, WeightTensor> {
  let fileDescriptor: number;
  try {
    fileDescriptor = openSync(path, 'r');
  } catch (cause) {
    throw notOpened(path, cause);
  }
  try {
    const stat = fstatSync(fileDescriptor);
    if (!stat.isFile()) throw new ModelFileError(path, 'this is not a regular file');
    const headerBytes = readHeaderLength(path, fileDescriptor, stat.size);
    const header = readExactly(path, fileDescriptor, headerBytes, LENGTH_BYTES).toString('utf8');
    const dataStart = LENGTH_BYTES + headerBytes;
    return tensorTable(path, parseJsonObject(header, path, 'the header'), dataStart, stat.size);
  } finally {
    closeSync(fileDescriptor);
  }
}

function readHeaderLength(path: string, fileDescriptor: number, fileBytes: number): number {
  if (fileBytes < LENGTH_BYTES)
    throw new ModelFileError(path, `the file has only ${fileBytes} bytes: it is truncated`);
  const length = Number(readExactly(path, fileDescriptor, LENGTH_BYTES, 0).readBigUInt64LE());
  if (length > MAX_HEADER_BYTES)
    throw new ModelFileError(
      path,
      `the header claims ${length} bytes, more than the ${MAX_HEADER_BYTES} allowed: this is no safetensors file, or a damaged one`,
    );
  if (LENGTH_BYTES + length > fileBytes)
    throw new ModelFileError(
      path,
      `the header claims ${length} bytes, but the file has ${fileBytes}: it is truncated or damaged`,
    );
  return length;
}

function readExactly(path: string, fileDescriptor: number, length: number, position: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const read = readSync(fileDescriptor, bytes, done, length - done, position + done);
    if (read === 0) throw new ModelFileError(path, 'the file became shorter while its header was read');
    done += read;
  }
  return bytes;
}

function tensorTable(
  path: string,
  header: Readonly<Record<string, unknown>>,
  dataStart: number,
  fileBytes: number,
): Map<string, WeightTensor> {
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  if (entries.length > MAX_TENSORS)
    throw new ModelFileError(
      path,
      `the file claims ${entries.length} tensors, more than the ${MAX_TENSORS} allowed`,
    );
  const tensors = entries
    .map(([name, entry]) => tensorOf(path, name, entry, dataStart))
    .sort((a, b) => a.offset - b.offset || a.sizeBytes - b.sizeBytes);
  let end = dataStart;
  for (const { name, offset, sizeBytes } of tensors) {
    if (offset !== end) {
      const fault = offset < end ? 'overlaps the one before' : 'leaves a hole behind the one before';
      throw new ModelFileError(path, `tensor ${name} ${fault}: the file is damaged`);
    }
    end = offset + sizeBytes;
    if (end > fileBytes)
      throw new ModelFileError(
        path,
        `tensor ${name} would end at byte ${end} of ${fileBytes}: the file is truncated or damaged`,
      );
  }
  if (end !== fileBytes)
    throw new ModelFileError(
      path,
      `${fileBytes - end} bytes at the end belong to no tensor: the file is damaged`,
    );
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

function tensorOf(path: string, name: string, entry: unknown, dataStart: number): WeightTensor {
  const error = (problem: string) =>
    new ModelFileError(path, `tensor ${name.slice(0, MAX_NAME_CHARS)} ${problem}`);
  if (name.length > MAX_NAME_CHARS) throw error('has too long a name');
  if (!isJsonObject(entry)) throw error('has no description');
  const { dtype, shape, data_offsets: offsets } = entry;
  const typeBytes = typeof dtype === 'string' ? TYPE_BYTES.get(dtype) : undefined;
  if (typeBytes === undefined)
    throw error(
      `has the type ${String(dtype).slice(0, 32)}, which is not supported (${[...TYPE_BYTES.keys()].join(', ')} are)`,
    );
  if (!isCounts(shape) || shape.length > MAX_DIMENSIONS) throw error('has no proper shape');
  const sizeBytes = shape.reduce((product, dim) => product * dim, typeBytes);
  if (sizeBytes < 1 || !Number.isSafeInteger(sizeBytes))
    throw error(`has the impossible shape [${shape.join(', ')}]`);
  if (!isCounts(offsets) || offsets.length !== 2) throw error('has no proper offsets');
  const [begin, end] = offsets as [number, number];
  if (end - begin !== sizeBytes)
    throw error(
      `takes ${end - begin} bytes in the file, but ${dtype} [${shape.join(', ')}] has ${sizeBytes}`,
    );
  // A scalar is a vector of one.
  const dims = shape.length === 0 ? [1] : shape.toReversed();
  return { name, dims, type: dtype as string, path, offset: dataStart + begin, sizeBytes };
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

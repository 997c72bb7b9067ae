import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ggufBytes } from '../../test/fixtures/gguf-writer.ts';
import { ModelFileError } from '../model-file-error.ts';
import { seededRandom } from '../random.ts';
import { readGguf } from './reader.ts';

let folder: string;
let path: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gguf-reader-'));
  path = join(folder, 'model.gguf');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(bytes: Uint8Array) {
  writeFileSync(path, bytes);
  return readGguf(path);
}

const TENSOR = { name: 'a', dims: [32, 2], type: 8, data: new Uint8Array(68).fill(7) };
const CONTENT = {
  metadata: {
    'general.architecture': { type: 'string', value: 'llama' },
    'a.count': { type: 'u32', value: 4_000_000_000 },
    'a.size': { type: 'u64', value: 2 ** 40 },
    'a.ratio': { type: 'f32', value: 0.5 },
    'a.flag': { type: 'bool', value: true },
    'tokenizer.ggml.tokens': { type: 'strings', value: ['', 'é', '前门'] },
    'tokenizer.ggml.token_type': { type: 'i32s', value: [-1, 0, 3] },
  },
  tensors: [TENSOR, { name: 'b', dims: [3], type: 0, data: new Uint8Array(12) }],
} as const;

/** A valid file with some bytes replaced. */
function patched(at: number, bytes: Uint8Array): Buffer {
  const copy = ggufBytes(CONTENT);
  copy.set(bytes, at);
  return copy;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

describe('readGguf', () => {
  it.each([2, 3])('reads every kind of metadata of version %i', (version) => {
    const { metadata, ...file } = read(ggufBytes({ ...CONTENT, version }));
    expect(file.version).toBe(version);
    expect(Object.fromEntries(metadata)).toEqual({
      'general.architecture': 'llama',
      'a.count': 4_000_000_000,
      'a.size': 2 ** 40,
      'a.ratio': 0.5,
      'a.flag': true,
      'tokenizer.ggml.tokens': ['', 'é', '前门'],
      'tokenizer.ggml.token_type': [-1, 0, 3],
    });
  });

  it('finds tensors by position', () => {
    const bytes = ggufBytes(CONTENT);
    const { tensors } = read(bytes);
    const { offset, ...a } = tensors.get('a')!;
    expect(a).toEqual({ path, name: 'a', dims: [32, 2], type: 'Q8_0', sizeBytes: 68 });
    expect(bytes.subarray(offset, offset + 68)).toEqual(Buffer.alloc(68, 7));
    expect(tensors.get('b')!.offset % 32).toBe(0);
  });

  it('reads a header longer than its window', () => {
    const tokens = Array.from({ length: 200_000 }, (_, i) => `token-${i}`);
    const { metadata } = read(
      ggufBytes({ metadata: { tokens: { type: 'strings', value: tokens } }, tensors: [TENSOR] }),
    );
    expect(metadata.get('tokens')).toEqual(tokens);
  });

  it('refuses a truncated file wherever it ends', () => {
    const bytes = ggufBytes(CONTENT);
    // The last tensor's padding is not needed.
    const lastNeeded = bytes.length - 20;
    for (let length = 0; length < lastNeeded; length += 1)
      expect(() => read(bytes.subarray(0, length)), `${length} bytes`).toThrow(ModelFileError);
    expect(() => read(bytes.subarray(0, lastNeeded))).not.toThrow();
  });

  it('says where a truncated file ends', () => {
    expect(() => read(ggufBytes(CONTENT).subarray(0, 30))).toThrow(
      /model\.gguf: the file is truncated: it ends inside .*metadata key 0 \(at byte \d+\)/,
    );
  });

  it('survives random damage', () => {
    const random = seededRandom(1);
    const bytes = ggufBytes(CONTENT);
    for (let round = 0; round < 1500; round++) {
      const copy = Buffer.from(bytes);
      for (let i = 0; i < 3; i++) copy[Math.floor(random() * copy.length)] = Math.floor(random() * 256);
      try {
        read(copy);
      } catch (error) {
        expect(error).toBeInstanceOf(ModelFileError);
      }
    }
  });

  it.each<[string, number, Buffer, RegExp]>([
    ['another magic number', 0, Buffer.from('GGML'), /not a GGUF file/],
    ['version 1', 4, Buffer.of(1, 0, 0, 0), /version 1 is not supported/],
    ['a big-endian version', 4, Buffer.of(0, 0, 0, 3), /version 50331648 is not supported/],
    ['absurdly many tensors', 8, u64(2n ** 63n), /claims \d+ tensors/],
    ['absurdly many keys', 16, u64(2n ** 40n), /claims \d+ metadata keys/],
    ['an absurd string length', 24, u64(2n ** 60n), /metadata key 0 claims \d+ bytes/],
    ['an absurd string value', 56, u64(2n ** 60n), /general\.architecture claims \d+ bytes/],
  ])('refuses %s', (_name, at, bytes, message) => {
    expect(() => read(patched(at, bytes))).toThrow(message);
  });

  it('refuses an array that claims more than the file holds, without allocating it', () => {
    const bytes = ggufBytes({ metadata: { a: { type: 'i32s', value: [1] } }, tensors: [] });
    const lengthAt = bytes.indexOf(Buffer.concat([Buffer.of(5, 0, 0, 0), u64(1n)])) + 4;
    bytes.set(u64(2n ** 31n), lengthAt);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => read(bytes)).toThrow(/a claims 2147483648 elements/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });

  it.each([
    ['an unknown quantisation by its name', { type: 23 }, /tensor a has the quantisation IQ4_XS/],
    ['an unknown quantisation by its number', { type: 99 }, /tensor a has the quantisation number 99/],
    ['a row that is not whole blocks', { dims: [31, 2] }, /rows of 31, not whole Q8_0 blocks/],
    ['an empty dimension', { dims: [32, 0] }, /impossible shape \[32, 0\]/],
    ['dimensions whose product overflows', { dims: [2 ** 40, 2 ** 40] }, /impossible shape/],
    ['a shape larger than the file', { dims: [32, 3] }, /tensor a would end at byte/],
    ['too many dimensions', { dims: [32, 1, 1, 1, 1] }, /tensor a has 5 dimensions/],
  ])('refuses %s', (_name, change, message) => {
    expect(() => read(ggufBytes({ metadata: {}, tensors: [{ ...TENSOR, ...change }] }))).toThrow(message);
  });

  it('refuses two tensors or keys of one name', () => {
    expect(() => read(ggufBytes({ metadata: {}, tensors: [TENSOR, TENSOR] }))).toThrow(
      /tensor a occurs twice/,
    );
    const bytes = ggufBytes({
      metadata: { k1: { type: 'u32', value: 1 }, k2: { type: 'u32', value: 1 } },
      tensors: [],
    });
    bytes.set(Buffer.from('k1'), bytes.indexOf('k2'));
    expect(() => read(bytes)).toThrow(/metadata key k1 occurs twice/);
  });

  it('refuses what is not a file', () => {
    expect(() => readGguf(folder)).toThrow(ModelFileError);
    expect(() => readGguf(join(folder, 'missing.gguf'))).toThrow('missing.gguf: there is no such file');
  });

  it('addresses weights beyond 4 GiB', () => {
    const first = { name: 'big', dims: [2 ** 20, 1200], type: 0, data: new Uint8Array(0) };
    const bytes = ggufBytes({ metadata: {}, tensors: [first, TENSOR] });
    // The writer placed the second tensor right behind the empty first one: move it to where it belongs.
    const bigBytes = 2 ** 20 * 1200 * 4;
    const entry = bytes.lastIndexOf(Buffer.concat([Buffer.of(8, 0, 0, 0), u64(0n)]));
    bytes.set(u64(BigInt(bigBytes)), entry + 4);
    writeFileSync(path, bytes);
    truncateSync(path, bytes.length + bigBytes);
    expect(readGguf(path).tensors.get('a')!.offset).toBeGreaterThan(2 ** 32);
  });
});

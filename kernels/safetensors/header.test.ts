import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { safetensorsBytes } from '../../test/fixtures/safetensors-writer.ts';
import { ModelFileError } from '../model-file-error.ts';
import { TensorRows } from '../weights/tensor-rows.ts';
import { readSafetensors } from './header.ts';

let folder: string;
let path: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'safetensors-'));
  path = join(folder, 'model.safetensors');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(bytes: Uint8Array) {
  writeFileSync(path, bytes);
  return readSafetensors(path);
}

const TWO = {
  a: { dtype: 'F32', shape: [2, 3], data: new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer) },
  b: { dtype: 'BF16', shape: [2], data: Uint8Array.of(0x80, 0x3f, 0x00, 0xc0) },
};

function lengthPrefixed(length: bigint, header = '{}'): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(length);
  return Buffer.concat([bytes, Buffer.from(header)]);
}

function changed(name: 'a' | 'b', changes: object): Buffer {
  return safetensorsBytes(TWO, (header) => ({ ...header, [name]: { ...header[name], ...changes } }));
}

describe('readSafetensors', () => {
  it('finds tensors, columns first', () => {
    const tensors = read(safetensorsBytes(TWO));
    expect(tensors.get('a')).toMatchObject({ name: 'a', dims: [3, 2], type: 'F32', sizeBytes: 24, path });
    const rows = new TensorRows();
    expect([...rows.vector(tensors.get('a')!)]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...rows.vector(tensors.get('b')!)]).toEqual([1, -2]);
    rows.close();
  });

  it('takes tensors in any order, with metadata between', () => {
    const reversed = safetensorsBytes(TWO, ({ a, b }) => ({ b: b!, __metadata__: { format: 'pt' }, a: a! }));
    expect([...read(reversed).keys()].sort()).toEqual(['a', 'b']);
  });

  it.each<[string, () => Uint8Array, RegExp]>([
    ['an empty file', () => Buffer.alloc(0), /only 0 bytes: it is truncated/],
    ['a header longer than allowed', () => lengthPrefixed(2n ** 63n), /header claims \d+ bytes, more than/],
    [
      'a header longer than the file',
      () => lengthPrefixed(50n),
      /header claims 50 bytes, but the file has 10/,
    ],
    ['a header that is no JSON', () => lengthPrefixed(2n, '{x'), /the header is not JSON/],
    ['a header that is a list', () => lengthPrefixed(2n, '[]'), /the header is not a JSON object/],
    ['data that was cut', () => safetensorsBytes(TWO).subarray(0, -1), /would end at byte \d+ of \d+/],
    [
      'data behind the last tensor',
      () => Buffer.concat([safetensorsBytes(TWO), Buffer.alloc(3)]),
      /3 bytes at the end/,
    ],
    ['an overlap', () => changed('b', { data_offsets: [20, 24] }), /tensor b overlaps/],
    ['a hole', () => changed('b', { data_offsets: [25, 29] }), /tensor b leaves a hole/],
    ['too few bytes', () => changed('a', { shape: [2, 4] }), /takes 24 bytes .* has 32/],
    ['a size beyond all numbers', () => changed('a', { shape: [2 ** 52, 2 ** 52] }), /impossible shape/],
    ['a negative size', () => changed('a', { shape: [-2, -3] }), /tensor a has no proper shape/],
    ['a size of nothing', () => changed('a', { shape: [0] }), /impossible shape \[0\]/],
    ['offsets in the wrong order', () => changed('a', { data_offsets: [24, 0] }), /takes -24 bytes/],
    [
      'an entry of another kind',
      () => safetensorsBytes(TWO, (h) => ({ ...h, c: [] })),
      /tensor c has no description/,
    ],
    [
      'another type',
      () => changed('a', { dtype: 'F8_E4M3' }),
      /type F8_E4M3, which is not supported \(F32, F16, BF16 are\)/,
    ],
  ])('refuses %s', (_name, bytes, message) => {
    expect(() => read(bytes())).toThrow(ModelFileError);
    expect(() => read(bytes())).toThrow(message);
  });

  it('refuses, or reads, any damage, and never fails otherwise', () => {
    const whole = safetensorsBytes(TWO);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, value, length) => {
        const damaged = Buffer.from(whole.subarray(0, length));
        if (at < damaged.length) damaged[at] = value;
        try {
          read(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(ModelFileError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEQUANTISERS } from './dequantise.ts';
import { TENSOR_TYPES } from './tensor-types.ts';

/** Random blocks and what the gguf package of ggml's authors makes of them. */
const REFERENCE: Record<string, { packed: string; floats: string }> = JSON.parse(
  readFileSync(new URL('../../test/fixtures/quantised-blocks.json', import.meta.url), 'utf8'),
);

describe('dequantisers', () => {
  it.each(Object.keys(REFERENCE))('unpack %s as ggml does', (name) => {
    const packed = Buffer.from(REFERENCE[name]!.packed, 'base64');
    const bytes = Uint8Array.from(Buffer.from(REFERENCE[name]!.floats, 'base64'));
    const expected = new Float32Array(bytes.buffer);
    const type = [...TENSOR_TYPES.values()].find((each) => each.name === name)!;
    const actual = new Float32Array(expected.length);
    DEQUANTISERS[name]!(packed, packed.length / type.blockBytes, actual);
    expect(packed.length / type.blockBytes).toBe(expected.length / type.blockElements);
    for (let i = 0; i < expected.length; i++)
      expect(Math.abs(actual[i]! - expected[i]!), `weight ${i}`).toBeLessThanOrEqual(
        4e-7 * Math.max(1, Math.abs(expected[i]!)),
      );
  });

  it('reads F32 at any alignment', () => {
    const bytes = new Uint8Array(13);
    new DataView(bytes.buffer).setFloat32(5, -2.5, true);
    const target = new Float32Array(2);
    DEQUANTISERS.F32!(bytes.subarray(1, 9), 2, target);
    expect([...target]).toEqual([0, -2.5]);
  });

  it('exist for every type that the reader accepts', () => {
    expect(Object.keys(DEQUANTISERS).sort()).toEqual(
      [...TENSOR_TYPES.values()].map(({ name }) => name).sort(),
    );
  });
});

import { dequantiseQ4K, dequantiseQ5K, dequantiseQ6K } from './dequantise-k.ts';
import { HALF_TO_FLOAT, halfAt } from './half.ts';

/**
 * Turns `blocks` packed blocks, from the start of `source`, into float32 weights at the start of `target`.
 * Layouts: ggml-common.h and the dequantize_row_* functions of ggml-quants.c.
 */
export type Dequantiser = (source: Uint8Array, blocks: number, target: Float32Array) => void;

/** By type name; covers every readable type. */
export const DEQUANTISERS: Readonly<Record<string, Dequantiser>> = {
  F32: (source, blocks, target) => {
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    for (let i = 0; i < blocks; i++) target[i] = view.getFloat32(4 * i, true);
  },
  F16: (source, blocks, target) => {
    for (let i = 0; i < blocks; i++) target[i] = halfAt(source, 2 * i);
  },
  BF16: (source, blocks, target) => {
    const bits = new Uint32Array(target.buffer, target.byteOffset, blocks);
    for (let i = 0; i < blocks; i++) bits[i] = (source[2 * i]! << 16) | (source[2 * i + 1]! << 24);
  },
  Q4_0: (source, blocks, target) => {
    for (let block = 0; block < blocks; block++) {
      const at = block * 18;
      const scale = halfAt(source, at);
      for (let i = 0; i < 16; i++) {
        const packed = source[at + 2 + i]!;
        target[block * 32 + i] = scale * ((packed & 15) - 8);
        target[block * 32 + 16 + i] = scale * ((packed >> 4) - 8);
      }
    }
  },
  Q4_1: (source, blocks, target) => {
    for (let block = 0; block < blocks; block++) {
      const at = block * 20;
      const scale = halfAt(source, at);
      const minimum = halfAt(source, at + 2);
      for (let i = 0; i < 16; i++) {
        const packed = source[at + 4 + i]!;
        target[block * 32 + i] = scale * (packed & 15) + minimum;
        target[block * 32 + 16 + i] = scale * (packed >> 4) + minimum;
      }
    }
  },
  Q5_0: (source, blocks, target) => {
    for (let block = 0; block < blocks; block++) {
      const at = block * 22;
      dequantiseFiveBit(source, at + 2, halfAt(source, at), -16 * halfAt(source, at), target, block * 32);
    }
  },
  Q5_1: (source, blocks, target) => {
    for (let block = 0; block < blocks; block++) {
      const at = block * 24;
      dequantiseFiveBit(source, at + 4, halfAt(source, at), halfAt(source, at + 2), target, block * 32);
    }
  },
  Q8_0: (source, blocks, target) => {
    for (let block = 0; block < blocks; block++) {
      const at = block * 34;
      const scale = HALF_TO_FLOAT[source[at]! | (source[at + 1]! << 8)]!;
      for (let i = 0; i < 32; i++) target[block * 32 + i] = scale * ((source[at + 2 + i]! << 24) >> 24);
    }
  },
  Q4_K: dequantiseQ4K,
  Q5_K: dequantiseQ5K,
  Q6_K: dequantiseQ6K,
};

/** 32 weights: four bytes of fifth bits, then 16 bytes of nibbles (low ones first). */
function dequantiseFiveBit(
  source: Uint8Array,
  at: number,
  scale: number,
  minimum: number,
  target: Float32Array,
  targetAt: number,
): void {
  for (let i = 0; i < 16; i++) {
    const packed = source[at + 4 + i]!;
    const lowHigh = (source[at + (i >> 3)]! >> (i & 7)) & 1;
    const highHigh = (source[at + 2 + (i >> 3)]! >> (i & 7)) & 1;
    target[targetAt + i] = scale * ((packed & 15) | (lowHigh << 4)) + minimum;
    target[targetAt + 16 + i] = scale * ((packed >> 4) | (highHigh << 4)) + minimum;
  }
}

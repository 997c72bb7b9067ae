import { halfAt } from './half.ts';

// K-quants: super-blocks of 256 weights. Q4_K and Q5_K hold eight blocks of 32 with a 6-bit scale and minimum each,
// packed into 12 bytes: w = d·scale·q − dmin·minimum. Q6_K holds sixteen blocks of 16 with an 8-bit scale.

/** d f16 · dmin f16 · scales 12 B · 128 B of nibbles: each run of 32 bytes holds block 2j (low) and 2j+1 (high). */
export function dequantiseQ4K(source: Uint8Array, blocks: number, target: Float32Array): void {
  for (let block = 0; block < blocks; block++) {
    const at = block * 144;
    for (let part = 0; part < 8; part++) {
      const scale = halfAt(source, at) * sixBitScale(source, at + 4, part);
      const minimum = halfAt(source, at + 2) * sixBitMinimum(source, at + 4, part);
      const quants = at + 16 + (part >> 1) * 32;
      const shift = (part & 1) * 4;
      for (let i = 0; i < 32; i++)
        target[block * 256 + part * 32 + i] = scale * ((source[quants + i]! >> shift) & 15) - minimum;
    }
  }
}

/** As Q4_K, with 32 bytes of fifth bits (bit j of byte i: weight i of block j) before the nibbles. */
export function dequantiseQ5K(source: Uint8Array, blocks: number, target: Float32Array): void {
  for (let block = 0; block < blocks; block++) {
    const at = block * 176;
    for (let part = 0; part < 8; part++) {
      const scale = halfAt(source, at) * sixBitScale(source, at + 4, part);
      const minimum = halfAt(source, at + 2) * sixBitMinimum(source, at + 4, part);
      const highBits = at + 16;
      const quants = at + 48 + (part >> 1) * 32;
      const shift = (part & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const high = (source[highBits + i]! >> part) & 1;
        const quant = ((source[quants + i]! >> shift) & 15) | (high << 4);
        target[block * 256 + part * 32 + i] = scale * quant - minimum;
      }
    }
  }
}

/** 128 B of low nibbles · 64 B of upper bit pairs · 16 signed scales · d f16; quants are centred on 32. */
export function dequantiseQ6K(source: Uint8Array, blocks: number, target: Float32Array): void {
  for (let block = 0; block < blocks; block++) {
    const at = block * 210;
    const superScale = halfAt(source, at + 208);
    for (let element = 0; element < 256; element++) {
      // Halves of 128; in each, four runs of 32 that share bytes.
      const half = element >> 7;
      const run = (element >> 5) & 3;
      const lane = element & 31;
      const low = source[at + half * 64 + (run & 1) * 32 + lane]! >> ((run >> 1) * 4);
      const high = source[at + 128 + half * 32 + lane]! >> (run * 2);
      const quant = ((low & 15) | ((high & 3) << 4)) - 32;
      const scale = (source[at + 192 + (element >> 4)]! << 24) >> 24;
      target[block * 256 + element] = superScale * scale * quant;
    }
  }
}

function sixBitScale(source: Uint8Array, at: number, part: number): number {
  if (part < 4) return source[at + part]! & 63;
  return (source[at + part + 4]! & 15) | ((source[at + part - 4]! >> 6) << 4);
}

function sixBitMinimum(source: Uint8Array, at: number, part: number): number {
  if (part < 4) return source[at + part + 4]! & 63;
  return (source[at + part + 4]! >> 4) | ((source[at + part]! >> 6) << 4);
}

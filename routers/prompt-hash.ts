/** Longer prompts are known by their beginning. */
export const MAX_BLOCKS = 512;
export const BLOCK_BYTES = 512;

const encoder = new TextEncoder();

/**
 * Hashes a prompt's beginning block by block, each hash covering everything before it, so that two prompts share as many
 * hashes as they share blocks. Two independent 32-bit lanes (murmur3's mixing): 64 bits without BigInt.
 *
 * @param salt Whatever keeps prompts apart though their bytes are alike: the model, the tenant's cache salt.
 * @param text The prompt in a form in which a longer conversation begins with the shorter one: tools first, then the
 *   messages in order. A last, incomplete block has no hash.
 * @returns Two lanes per block, at most `MAX_BLOCKS` blocks.
 */
export function hashPrompt(salt: string, text: string | Uint8Array, blockBytes = BLOCK_BYTES): Int32Array {
  const maxBytes = MAX_BLOCKS * blockBytes;
  const bytes = typeof text === 'string' ? encoder.encode(text.slice(0, maxBytes)) : text;
  const count = Math.min(MAX_BLOCKS, Math.floor(bytes.length / blockBytes));
  const out = new Int32Array(2 * count);
  const seed = encoder.encode(salt);
  let a = mix(0x9747b28c, seed, 0, seed.length, 0xcc9e2d51);
  let b = mix(0x3c6ef372, seed, 0, seed.length, 0x85ebca6b);
  for (let i = 0; i < count; i += 1) {
    const from = i * blockBytes;
    a = mix(a, bytes, from, from + blockBytes, 0xcc9e2d51);
    b = mix(b, bytes, from, from + blockBytes, 0x85ebca6b);
    out[2 * i] = a;
    out[2 * i + 1] = b;
  }
  return out;
}

function mix(seed: number, bytes: Uint8Array, from: number, to: number, multiplier: number): number {
  let hash = seed;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    let word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    word = Math.imul(word, multiplier);
    word = (word << 15) | (word >>> 17);
    hash ^= Math.imul(word, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  for (; i < to; i += 1) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** 32 bits of a short text, unsigned. */
export function hashText(text: string): number {
  const bytes = encoder.encode(text);
  return mix(0x9747b28c, bytes, 0, bytes.length, 0xcc9e2d51) >>> 0;
}

/** Longer prompts are known by their beginning. */
export const MAX_BLOCKS = 512;
export const BLOCK_BYTES = 512;
const BLOCK_WORDS = BLOCK_BYTES / 4;

const encoder = new TextEncoder();
/** Where a prompt lies while it is hashed, seen as bytes and as words of the machine's own order. */
const scratch = new Uint8Array(MAX_BLOCKS * BLOCK_BYTES);
const words = new Int32Array(scratch.buffer);

/**
 * Hashes a prompt's beginning block by block, each hash covering everything before it, so that two prompts share as many
 * hashes as they share blocks. Two 32-bit lanes with multipliers and rotations of their own: 64 bits without BigInt. No
 * defence against collisions made on purpose, which only mislead an estimate.
 *
 * @param salt Whatever keeps prompts apart though their bytes are alike: the model, the tenant's cache salt.
 * @param text The prompt in a form in which a longer conversation begins with the shorter one: tools first, then the
 *   messages in order. A last, incomplete block has no hash.
 * @returns Two lanes per block, at most `MAX_BLOCKS` blocks.
 */
export function hashPrompt(salt: string, text: string | Uint8Array): Int32Array {
  const count = Math.floor(load(text) / BLOCK_BYTES);
  const out = new Int32Array(2 * count);
  let a = hashText(salt) | 0;
  let b = Math.imul(a ^ 0x3c6ef372, 0x2c1b3c6d) | 0;
  for (let i = 0; i < count; i += 1) {
    const end = (i + 1) * BLOCK_WORDS;
    for (let at = i * BLOCK_WORDS; at < end; at += 1) {
      const word = words[at]!;
      a = Math.imul(a ^ word, 0x9e3779b1);
      a = (a << 13) | (a >>> 19);
      b = Math.imul(b ^ word, 0x85ebca6b);
      b = (b << 17) | (b >>> 15);
    }
    out[2 * i] = avalanche(a);
    out[2 * i + 1] = avalanche(b);
  }
  return out;
}

/** 32 bits of a short text, unsigned. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return avalanche(hash) >>> 0;
}

/** @returns Bytes that lie in `scratch`. */
function load(text: string | Uint8Array): number {
  if (typeof text === 'string') return encoder.encodeInto(text, scratch).written;
  const bytes = text.length > scratch.length ? text.subarray(0, scratch.length) : text;
  scratch.set(bytes);
  return bytes.length;
}

/** murmur3's: every bit of the input moves every bit of the output. */
function avalanche(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

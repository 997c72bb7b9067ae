/** A text that came as bytes. */
export interface ShortText {
  readonly text: string;
  readonly hasBackslash: boolean;
}

interface Known extends ShortText {
  readonly bytes: Uint8Array;
}

/** Longer texts are seldom met twice. */
const MAX_BYTES = 32;
/** Pairs of places, to keep one text each; a power of two. */
const PAIRS = 512;

const known: (Known | undefined)[] = new Array(2 * PAIRS).fill(undefined);

/**
 * Reads a text that has most likely been met before, such as the key of an object: comparing a few bytes with those
 * of the last time costs a tenth of making a string of them. Two texts that fall on the same place are both kept: a
 * reply has the same keys again and again.
 */
export function shortText(bytes: Buffer, start: number, end: number): ShortText {
  const size = end - start;
  if (size > MAX_BYTES || size === 0) return read(bytes, start, end);
  const middle = bytes[start + (size >> 1)]!;
  const place = 2 * ((size * 37 + bytes[start]! * 11 + middle * 23 + bytes[end - 1]! * 3) % PAIRS);
  const first = known[place];
  if (first !== undefined && isSame(first.bytes, bytes, start, size)) return first;
  const second = known[place + 1];
  if (second !== undefined && isSame(second.bytes, bytes, start, size)) return second;
  const now = { ...read(bytes, start, end), bytes: Uint8Array.from(bytes.subarray(start, end)) };
  known[place + 1] = first;
  known[place] = now;
  return now;
}

function isSame(one: Uint8Array, bytes: Buffer, start: number, size: number): boolean {
  if (one.length !== size) return false;
  for (let i = 0; i < size; i += 1) if (one[i] !== bytes[start + i]) return false;
  return true;
}

function read(bytes: Buffer, start: number, end: number): ShortText {
  const text = bytes.toString('utf8', start, end);
  return { text, hasBackslash: text.includes('\\') };
}

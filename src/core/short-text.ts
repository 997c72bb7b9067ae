/** What bytes say, as a string. */
export interface ShortText {
  readonly text: string;
  readonly hasBackslash: boolean;
}

interface Known extends ShortText {
  readonly bytes: Uint8Array;
}

/** Longer ones are seldom met twice. */
const MAX_BYTES = 32;
/** Places to keep one each; a power of two. */
const PLACES = 256;

const known: (Known | undefined)[] = new Array(PLACES).fill(undefined);

/**
 * A text that has most likely been met before, such as the key of an object: to compare a few bytes with those of the last time costs a
 * tenth of making a string of them.
 */
export function shortText(bytes: Buffer, start: number, end: number): ShortText {
  const size = end - start;
  if (size > MAX_BYTES || size === 0) return read(bytes, start, end);
  const place = (size * 31 + bytes[start]! * 7 + bytes[end - 1]!) % PLACES;
  const last = known[place];
  if (last !== undefined && isSame(last.bytes, bytes, start, size)) return last;
  const now = { ...read(bytes, start, end), bytes: Uint8Array.from(bytes.subarray(start, end)) };
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

/** Also of a string whose end is missing: otherwise each quote in it would be tried as a beginning. */
const STRING_OR_NO_NUMBER = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"?|-?\bInfinity\b|\bNaN\b/g;

const NULL = Buffer.from('null');
const MINUS = Buffer.from('-');
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const CAPITAL_I = 0x49;
const CAPITAL_N = 0x4e;

/** For less than this a native search costs more than a loop. */
const SHORT_BYTES = 48;
const IN_STRINGS = [QUOTE, BACKSLASH];
const OUTSIDE = [QUOTE, CAPITAL_N, CAPITAL_I];

/**
 * JSON with `null` in place of what it has no numbers for. Python writes those by name, as log-probabilities of
 * tokens that cannot come, and only Python reads them.
 */
export function withNulls(text: string): string {
  return text.replace(STRING_OR_NO_NUMBER, (found) => (found.startsWith('"') ? found : 'null'));
}

/** The same for JSON whose bytes may be cut anywhere. Outside its strings no other word begins with an N or an I. */
export class NumberFilter {
  #isInString = false;
  /** The next byte of the string means nothing. */
  #isEscaped = false;
  /** The rest of a word that was replaced. */
  #isInWord = false;
  /** What came last ended in a minus, which is not told yet. */
  #holdsMinus = false;

  /** @returns The bytes themselves, nearly always. */
  push(bytes: Buffer): Buffer {
    if (bytes.length === 0) return bytes;
    const kept: Buffer[] = [];
    if (this.#holdsMinus && !beginsWord(bytes[0]!)) kept.push(MINUS);
    this.#holdsMinus = false;
    let from = 0;
    for (let at = 0; at < bytes.length; ) {
      if (this.#isInString) {
        at = this.#readString(bytes, at);
        continue;
      }
      const byte = bytes[at]!;
      if (this.#isInWord && isLetter(byte)) {
        at += 1;
        from = at;
        continue;
      }
      this.#isInWord = beginsWord(byte);
      if (this.#isInWord) {
        const hasMinus = at > from && bytes[at - 1] === MINUS[0];
        kept.push(bytes.subarray(from, hasMinus ? at - 1 : at), NULL);
        at += 1;
        from = at;
      } else if (byte === QUOTE) {
        this.#isInString = true;
        at += 1;
      } else at = pastPlain(bytes, at + 1);
    }
    if (!this.#isInString && from < bytes.length && bytes.at(-1) === MINUS[0]) this.#holdsMinus = true;
    const to = bytes.length - (this.#holdsMinus ? 1 : 0);
    if (kept.length === 0 && to - from === bytes.length) return bytes;
    kept.push(bytes.subarray(from, to));
    return Buffer.concat(kept);
  }

  /** @returns The offset past the string, or the end of the bytes. */
  #readString(bytes: Buffer, from: number): number {
    let at = from;
    if (this.#isEscaped) {
      this.#isEscaped = false;
      at += 1;
    }
    for (const limit = Math.min(bytes.length, from + SHORT_BYTES); at < limit; at += 1) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        this.#isInString = false;
        return at + 1;
      }
      if (byte === BACKSLASH) at += 1;
    }
    if (at > bytes.length) this.#isEscaped = true;
    else if (at < bytes.length) return Math.min(bytes.length, firstOf(IN_STRINGS, bytes, at));
    return bytes.length;
  }
}

/** @returns The offset of the next byte that means something outside strings, or the end. */
function pastPlain(bytes: Buffer, from: number): number {
  const limit = Math.min(bytes.length, from + SHORT_BYTES);
  for (let at = from; at < limit; at += 1) {
    const byte = bytes[at]!;
    if (byte === QUOTE || beginsWord(byte)) return at;
  }
  return limit === bytes.length ? limit : firstOf(OUTSIDE, bytes, limit);
}

/** Embeddings are long runs of numbers, or of base64, which a native search passes sooner than a loop. */
function firstOf(wanted: readonly number[], bytes: Buffer, from: number): number {
  let rest = bytes.subarray(from);
  for (const byte of wanted) {
    const at = rest.indexOf(byte);
    if (at >= 0) rest = rest.subarray(0, at);
  }
  return from + rest.length;
}

function beginsWord(byte: number): boolean {
  return byte === CAPITAL_N || byte === CAPITAL_I;
}

function isLetter(byte: number): boolean {
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x7a;
}

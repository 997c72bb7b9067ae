/** Also of a string whose end is missing: otherwise each quote in it would be tried as a beginning. */
const STRING_OR_NO_NUMBER = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"?|-?\bInfinity\b|\bNaN\b/g;

const NULL = Buffer.from('null');
const MINUS = Buffer.from('-');
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const CAPITAL_I = 0x49;
const CAPITAL_N = 0x4e;

/**
 * JSON with `null` in place of what it has no numbers for. Python writes those by name, as log-probabilities of tokens that cannot
 * come, and only Python reads them.
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
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at]!;
      if (this.#isInString) this.#readString(byte);
      else if (this.#isInWord && isLetter(byte)) from = at + 1;
      else {
        this.#isInWord = beginsWord(byte);
        this.#isInString = byte === QUOTE;
        if (!this.#isInWord) continue;
        const hasMinus = at > from && bytes[at - 1] === MINUS[0];
        kept.push(bytes.subarray(from, hasMinus ? at - 1 : at), NULL);
        from = at + 1;
      }
    }
    if (!this.#isInString && from < bytes.length && bytes.at(-1) === MINUS[0]) this.#holdsMinus = true;
    const to = bytes.length - (this.#holdsMinus ? 1 : 0);
    if (kept.length === 0 && to - from === bytes.length) return bytes;
    kept.push(bytes.subarray(from, to));
    return Buffer.concat(kept);
  }

  #readString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#isInString = false;
  }
}

function beginsWord(byte: number): boolean {
  return byte === CAPITAL_N || byte === CAPITAL_I;
}

function isLetter(byte: number): boolean {
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x7a;
}

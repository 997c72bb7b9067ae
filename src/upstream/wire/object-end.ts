import { skipSpace } from '../../core/skim.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * Follows a JSON object through bytes that may be cut anywhere, and tells whether it has come to its end: what was cut off does
 * not. Brackets and strings are all that it knows; whether what stands between them is JSON, a parser would have to say.
 */
export class ObjectEnd {
  #depth = 0;
  #isInString = false;
  /** The next byte of the string means nothing. */
  #isEscaped = false;
  #hasEnded = false;
  /** Something came after its end. */
  #hasMore = false;

  /** It is there as a whole, and nothing but white space came after it. */
  get isWhole(): boolean {
    return this.#hasEnded && !this.#hasMore;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.#hasEnded) {
      at = this.#isInString ? this.#readString(bytes, at) : this.#readBrackets(bytes, at);
    }
    if (this.#hasEnded && skipSpace(bytes, at) < bytes.length) this.#hasMore = true;
  }

  /** @returns The offset past the string, or the end of the bytes. */
  #readString(bytes: Buffer, from: number): number {
    let at = from;
    if (this.#isEscaped) {
      this.#isEscaped = false;
      at += 1;
    }
    const start = at;
    for (;;) {
      const quote = bytes.indexOf(QUOTE, at);
      const end = quote < 0 ? bytes.length : quote;
      let before = end;
      while (before > start && bytes[before - 1] === BACKSLASH) before -= 1;
      const isEscaped = (end - before) % 2 === 1;
      if (quote < 0) {
        this.#isEscaped = isEscaped;
        return bytes.length;
      }
      at = quote + 1;
      if (isEscaped) continue;
      this.#isInString = false;
      return at;
    }
  }

  /** @returns The offset past the quote that opens a string, past the end of the object, or the end of the bytes. */
  #readBrackets(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at += 1) {
      switch (bytes[at]) {
        case QUOTE:
          this.#isInString = true;
          return at + 1;
        case OPEN_BRACE:
        case OPEN_BRACKET:
          this.#depth += 1;
          break;
        case CLOSE_BRACE:
        case CLOSE_BRACKET:
          this.#depth -= 1;
          if (this.#depth > 0) break;
          this.#hasEnded = true;
          return at + 1;
      }
    }
    return bytes.length;
  }
}

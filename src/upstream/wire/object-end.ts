import { skipSpace } from '../../core/skim.ts';
import { closingQuote, isEscaped } from './json-strings.ts';

const QUOTE = 0x22;
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
    const start = this.#isEscaped ? from + 1 : from;
    const quote = closingQuote(bytes, start);
    this.#isInString = quote < 0;
    this.#isEscaped = quote < 0 && isEscaped(bytes, bytes.length, start);
    return quote < 0 ? bytes.length : quote + 1;
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

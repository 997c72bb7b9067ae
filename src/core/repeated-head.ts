const LENGTH = /\r\ncontent-length:[\t ]*(\d+)[\t ]*(?=\r\n|$)/i;
/** Safe as a number, and far more than any body has. */
const MAX_DIGITS = 15;
const ZERO = 0x30;

/**
 * The last head on one side of a connection, so as to recognise it: nearly always the next one differs only in the
 * length of the body.
 */
export class RepeatedHead {
  #isKnown = false;
  /** What comes before the digits of the length, and after them. In a head without a length everything comes before. */
  #before = '';
  #after = '';
  #hasLength = false;

  /** @param text A head whose headers are each there once. */
  remember(text: string): void {
    const length = LENGTH.exec(text);
    this.#isKnown = true;
    this.#hasLength = length !== null;
    const end = length === null ? text.length : length.index + length[0].trimEnd().length;
    this.#before = length === null ? text : text.slice(0, end - length[1]!.length);
    this.#after = text.slice(end);
  }

  /** @returns The digits of the length, empty if it has none; undefined: it is another head. */
  lengthIn(text: string): string | undefined {
    const start = this.#before.length;
    const end = text.length - this.#after.length;
    if (!this.#isKnown || text.slice(0, start) !== this.#before) return undefined;
    if (!this.#hasLength) return end === start ? '' : undefined;
    const digits = text.slice(start, end);
    return isLength(digits) && text.slice(end) === this.#after ? digits : undefined;
  }
}

/** Written as nobody does who wants to deceive: without leading zeros. */
function isLength(digits: string): boolean {
  if (digits.length === 0 || digits.length > MAX_DIGITS) return false;
  if (digits.length > 1 && digits.charCodeAt(0) === ZERO) return false;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = digits.charCodeAt(i) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return false;
  }
  return true;
}

import { type PlainHead, plainHead } from './plain-head.ts';

const LENGTH = /\r\ncontent-length:[\t ]*(\d+)[\t ]*(?=\r\n|$)/i;
/** As many as a plain head may have. */
const MAX_DIGITS = 15;
const ZERO = 0x30;

/** Reads the heads of one connection. Nearly always a client sends its last one again, but for the length of the body. */
export class HeadReader {
  #last: PlainHead | undefined;
  /** What stood in the last one before the digits of the length, and behind them. */
  #before = '';
  #after = '';

  /** @param text Request line and headers, without the empty line. @returns The head, if it is plain; it is valid until the next one is read. */
  read(text: string): PlainHead | undefined {
    return this.#again(text) ?? this.#anew(text);
  }

  #again(text: string): PlainHead | undefined {
    const last = this.#last;
    const start = this.#before.length;
    const end = text.length - this.#after.length;
    if (last === undefined || end <= start || end - start > MAX_DIGITS) return undefined;
    if (end - start > 1 && text.charCodeAt(start) === ZERO) return undefined;
    let bodyBytes = 0;
    for (let at = start; at < end; at += 1) {
      const digit = text.charCodeAt(at) - ZERO;
      if (!(digit >= 0 && digit <= 9)) return undefined;
      bodyBytes = bodyBytes * 10 + digit;
    }
    if (text.slice(0, start) !== this.#before || text.slice(end) !== this.#after) return undefined;
    if (bodyBytes === last.bodyBytes) return last;
    const { path, headers, keepAlive } = last;
    headers.set('content-length', text.slice(start, end));
    this.#last = { path, headers, bodyBytes, keepAlive };
    return this.#last;
  }

  #anew(text: string): PlainHead | undefined {
    const head = plainHead(text);
    const length = head === undefined ? null : LENGTH.exec(text);
    this.#last = length === null ? undefined : head;
    if (length === null) return head;
    const end = length.index + length[0].trimEnd().length;
    const start = end - length[1]!.length;
    this.#before = text.slice(0, start);
    this.#after = text.slice(end);
    return head;
  }
}

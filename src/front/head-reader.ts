import { RepeatedHead } from '../core/repeated-head.ts';
import { type PlainHead, plainHead } from './plain-head.ts';

/** Reads the heads of one connection's requests. */
export class HeadReader {
  readonly #repeated = new RepeatedHead();
  #last: PlainHead | undefined;

  /** @param text Request line and headers, without the empty line. @returns The head, if it is plain; it is valid until the next one is read. */
  read(text: string): PlainHead | undefined {
    const last = this.#last;
    const digits = last === undefined ? undefined : this.#repeated.lengthIn(text);
    if (last === undefined || digits === undefined) return this.#anew(text);
    const { path, headers, keepAlive } = last;
    if (headers.get('content-length') === digits) return last;
    headers.set('content-length', digits);
    this.#last = { path, headers, bodyBytes: Number(digits), keepAlive };
    return this.#last;
  }

  #anew(text: string): PlainHead | undefined {
    this.#last = plainHead(text);
    if (this.#last !== undefined) this.#repeated.remember(text);
    return this.#last;
  }
}

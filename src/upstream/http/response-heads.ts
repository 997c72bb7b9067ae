import { RepeatedHead } from '../../core/repeated-head.ts';
import { type ParsedHead, parseHead } from './response-head.ts';

const OK = 200;

/** Reads the heads of one connection's responses. */
export class ResponseHeads {
  readonly #repeated = new RepeatedHead();
  #last: ParsedHead | undefined;

  /**
   * @param text Status line and headers, without the empty line.
   * @returns The head, valid until the next one is read, or what is wrong with it.
   */
  read(text: string): ParsedHead | string {
    const last = this.#last;
    const digits = last === undefined ? undefined : this.#repeated.lengthIn(text);
    if (last === undefined || digits === undefined) return this.#anew(text);
    const { headers } = last;
    if (digits === '' || headers.get('content-length') === digits) return last;
    headers.set('content-length', digits);
    this.#last = { ...last, framing: Number(digits) };
    return this.#last;
  }

  #anew(text: string): ParsedHead | string {
    const head = parseHead(text);
    this.#last = typeof head === 'object' && isPlain(head) ? head : undefined;
    if (this.#last !== undefined) this.#repeated.remember(text);
    return head;
  }
}

/** Only of this status a length says in all cases what it seems to, if it is said once. */
function isPlain({ status, headers }: ParsedHead): boolean {
  return status === OK && headers.get('content-length')?.includes(',') !== true;
}

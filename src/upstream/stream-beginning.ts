import { MarkFilter } from './byte-order-mark.ts';

const LF = 0x0a;
const CR = 0x0d;
const NOTHING = Buffer.alloc(0);

/**
 * Makes what few servers do at the beginning of an event stream into what all do: a byte order mark is left out, and lines
 * that end in CR alone are made to end in LF. The first line tells; from then on nothing is looked at unless it ended in CR.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export class StreamBeginning {
  /** Undefined until the first line has ended. */
  #ends: 'lf' | 'cr' | undefined;
  readonly #mark = new MarkFilter();
  /** What could be the first half of CR LF. */
  #held: Buffer = NOTHING;

  /** From here on nothing is changed. */
  get isUsual(): boolean {
    return this.#ends === 'lf';
  }

  /** @returns The bytes themselves, nearly always. Empty: not to be told yet. */
  usual(bytes: Buffer): Buffer {
    if (this.#ends === 'lf') return bytes;
    return this.#ends === 'cr' ? withLineFeeds(bytes) : this.#look(bytes);
  }

  #look(bytes: Buffer): Buffer {
    const unmarked = this.#mark.push(bytes);
    const all = this.#held.length === 0 ? unmarked : Buffer.concat([this.#held, unmarked]);
    this.#held = NOTHING;
    const lf = all.indexOf(LF);
    const cr = (lf < 0 ? all : all.subarray(0, lf)).indexOf(CR);
    const end = cr < 0 ? lf : cr;
    if (end < 0) return all;
    if (all[end] === CR && end === all.length - 1) {
      this.#held = all;
      return NOTHING;
    }
    this.#ends = all[end] === CR && all[end + 1] !== LF ? 'cr' : 'lf';
    return this.usual(all);
  }
}

/** In JSON they would be escaped: what is replaced are ends of lines. */
function withLineFeeds(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(CR); at >= 0; at = copy.indexOf(CR, at + 1)) copy[at] = LF;
  return copy;
}

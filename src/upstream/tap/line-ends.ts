const LF = 0x0a;
const CR = 0x0d;
const LINE_FEED = Buffer.from('\n');

/**
 * Makes lines of an event stream that end in CR alone, as they do in few, end in LF. The bytes may be cut anywhere; CR LF stays as it is
 * where no such line came before.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export class LineEnds {
  /** A line has ended in CR alone: so may others, and need not wait for what comes next. */
  #areOdd = false;
  /** What came last ended in CR. */
  #endedInCr = false;

  /** So far nothing was changed. */
  get areUsual(): boolean {
    return !this.#areOdd;
  }

  /** @returns The bytes themselves, nearly always. */
  push(bytes: Buffer): Buffer {
    if (bytes.length === 0) return bytes;
    const rest = this.#endedInCr ? this.#pastCr(bytes) : bytes;
    this.#endedInCr = bytes[bytes.length - 1] === CR;
    return this.#withLineFeeds(rest);
  }

  #pastCr(bytes: Buffer): Buffer {
    // Where lines are odd, LF stands in place of that CR already.
    if (bytes[0] === LF) return this.#areOdd ? bytes.subarray(1) : bytes;
    if (this.#areOdd) return bytes;
    this.#areOdd = true;
    return Buffer.concat([LINE_FEED, bytes]);
  }

  #withLineFeeds(bytes: Buffer): Buffer {
    let changed = bytes;
    for (let at = bytes.indexOf(CR); at >= 0; at = bytes.indexOf(CR, at + 1)) {
      const isWhole = at + 1 < bytes.length;
      if (isWhole ? bytes[at + 1] === LF : !this.#areOdd) continue;
      this.#areOdd = true;
      if (changed === bytes) changed = Buffer.from(bytes);
      changed[at] = LF;
    }
    return changed;
  }
}

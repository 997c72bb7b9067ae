const MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const NOTHING = Buffer.alloc(0);

/** Leaves out the byte order mark that few servers put in front of a body, whose bytes may be cut anywhere. */
export class MarkFilter {
  /** What could still become a mark; undefined: that is over. */
  #held: Buffer | undefined = NOTHING;
  /** Of the mark, once it has been left out. */
  leftOutBytes = 0;

  /** @returns The bytes themselves, nearly always. Empty: not to be told yet. */
  push(bytes: Buffer): Buffer {
    if (this.#held === undefined) return bytes;
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const beginning = all.subarray(0, MARK.length);
    if (!MARK.subarray(0, beginning.length).equals(beginning)) {
      this.#held = undefined;
      return all;
    }
    if (beginning.length < MARK.length) {
      this.#held = all;
      return NOTHING;
    }
    this.#held = undefined;
    this.leftOutBytes = MARK.length;
    return all.subarray(MARK.length);
  }
}

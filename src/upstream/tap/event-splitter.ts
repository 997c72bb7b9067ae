import { AppError } from '../../core/error.ts';

const LF = 0x0a;
const CR = 0x0d;

/**
 * Pictures come in one event, as base64; nearly all of such a one goes on before it has ended (`LongValue`). A server
 * that sends more without an end is broken or hostile.
 */
const MAX_EVENT_MIB = 9;
const MAX_EVENT_BYTES = MAX_EVENT_MIB * 1024 * 1024;
/** Of an unfinished event: kept one by one, those that bring a byte each would take a hundred times as much. */
const MAX_PIECES = 256;

/**
 * Finds where server-sent events end, in bytes that may be cut anywhere. Lines end in LF or CRLF; a lone
 * CR, which the specification also allows, has been replaced before (`LineEnds`).
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export class EventSplitter {
  /** The unfinished event's bytes. */
  #held: Buffer[] = [];
  /** The first so many of `#held` were many pieces each. */
  #joined = 0;
  #heldBytes = 0;
  /** What the current line holds so far: nothing, one CR, or more. */
  #line: 'empty' | 'cr' | 'text' = 'empty';

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Returns the bytes in which whole events lie, ending with the last of them, and puts the offset past each event into
   * `ends`; undefined when no event has ended. What comes after is kept for the next call.
   *
   * @throws AppError `upstream_error` when an event grows beyond 9 MiB.
   */
  push(bytes: Buffer, ends: number[]): Buffer | undefined {
    ends.length = 0;
    this.#scan(bytes, ends);
    const last = ends.at(-1);
    if (last === undefined) {
      this.#hold(bytes);
      return undefined;
    }
    let block = last === bytes.length ? bytes : bytes.subarray(0, last);
    if (this.#heldBytes > 0) {
      const before = this.#heldBytes;
      block = Buffer.concat([...this.#held, block]);
      for (let i = 0; i < ends.length; i += 1) ends[i] = ends[i]! + before;
      this.#clear();
    }
    if (last < bytes.length) this.#hold(bytes.subarray(last));
    return block;
  }

  /** The unfinished event. */
  get held(): Buffer {
    return Buffer.concat(this.#held);
  }

  /** Another text takes the place of the unfinished event, in whose last line it ends as well. */
  replaceHeld(bytes: Buffer): void {
    this.#clear();
    if (bytes.length > 0) this.#hold(bytes);
  }

  #clear(): void {
    this.#held = [];
    this.#joined = 0;
    this.#heldBytes = 0;
  }

  #hold(bytes: Buffer): void {
    if (this.#held.push(bytes) > this.#joined + MAX_PIECES)
      this.#joined = this.#held.push(Buffer.concat(this.#held.splice(this.#joined)));
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > MAX_EVENT_BYTES) {
      throw new AppError('upstream_error', {
        message: `The model server sent an event of more than ${MAX_EVENT_MIB} MiB.`,
        cause: new Error(`an event of more than ${MAX_EVENT_MIB} MiB`),
      });
    }
  }

  #scan(bytes: Buffer, ends: number[]): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#line === 'text') {
        const newline = bytes.indexOf(LF, at);
        if (newline < 0) return;
        at = newline + 1;
        this.#line = 'empty';
        continue;
      }
      const byte = bytes[at];
      if (byte === LF) {
        at += 1;
        ends.push(at);
        this.#line = 'empty';
      } else if (byte === CR && this.#line === 'empty') {
        at += 1;
        this.#line = 'cr';
      } else {
        this.#line = 'text';
      }
    }
  }
}

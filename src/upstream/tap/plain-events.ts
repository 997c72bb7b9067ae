const DATA = Buffer.from('data:');
const CHOICES = Buffer.from('"choices"');
const TEXT_KEYS = ['"content":"', '"content": "', '"text":"', '"text": "'].map((key) => Buffer.from(key));

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LF = 0x0a;
/** Below it are the ends of lines; JSON has none inside strings. */
const SPACE = 0x20;

/** One per choice index is enough; beyond that every event is parsed. */
const MAX_SHAPES = 8;
const MAX_PART_BYTES = 256;
/** Kept for all streams together. */
const MAX_SHARED = 64;

/** What is the same in every event that brings one more piece of text for a choice. */
interface Shape {
  /** Of `"choices"` in the event. */
  readonly offset: number;
  /** From there to the first character of the text. */
  readonly head: Buffer;
  /** From the quote that ends the text to the end of the event: it says that nothing has finished. */
  readonly tail: Buffer;
}

/**
 * Streams of one server are of one shape: what is kept once stays in the processor's caches, copies for every stream
 * do not.
 */
const shared: Shape[] = [];
let nextShared = 0;

function sharedShape(offset: number, head: Buffer, tail: Buffer): Shape {
  const found = shared.find((one) => one.offset === offset && one.head.equals(head) && one.tail.equals(tail));
  if (found !== undefined) return found;
  const shape = { offset, head: Buffer.from(head), tail: Buffer.from(tail) };
  shared[nextShared] = shape;
  nextShared = (nextShared + 1) % MAX_SHARED;
  return shape;
}

/**
 * Knows events that bring a piece of text, and nothing else, by comparing bytes: a tenth of the cost of parsing.
 *
 *   data: {"id":"…","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}
 *   └─┬─┘           └───────────────── head ─────────────┘ text └─────────── tail ──────────┘
 *
 * What stands between `data:` and the head may be anything but the end of an event. Text cannot pass for a tail: its
 * quotes are escaped.
 */
export class PlainEvents {
  readonly #shapes: Shape[] = [];
  /** The one that fitted last: nearly always it does again. */
  #last: Shape | undefined;

  /** The size of the text in the event that has just matched. */
  textBytes(eventBytes: number): number {
    const { offset, head, tail } = this.#last!;
    return eventBytes - offset - head.length - tail.length;
  }

  /** @returns The offset past the plain event that begins at `start`, or −1 if none does. */
  match(bytes: Buffer, start: number): number {
    const last = this.#last;
    const end = last === undefined ? -1 : endOf(bytes, start, last);
    return end < 0 ? this.#matchOther(bytes, start) : end;
  }

  #matchOther(bytes: Buffer, start: number): number {
    for (const shape of this.#shapes) {
      const end = shape === this.#last ? -1 : endOf(bytes, start, shape);
      if (end < 0) continue;
      this.#last = shape;
      return end;
    }
    return -1;
  }

  /** @param event Parsed: one choice has a text in it, and has not finished; there is no usage and no error. */
  learn(event: Buffer): void {
    // More than one line after `data:` needs the parser.
    if (this.#shapes.length >= MAX_SHAPES || event.indexOf(LF) < event.length - 3) return;
    const offset = event.indexOf(CHOICES);
    if (offset < 0 || !matches(event, 0, DATA)) return;
    for (const key of TEXT_KEYS) {
      const keyAt = event.indexOf(key, offset);
      if (keyAt < 0) continue;
      const textAt = keyAt + key.length;
      const textEnd = endOfText(event, textAt);
      // What it brings stands elsewhere, reasoning for instance, and would make a shape of its own of every event.
      if (textEnd === textAt) return;
      const head = event.subarray(offset, textAt);
      const tail = event.subarray(textEnd);
      // A second text in the same event, as of log-probabilities, would give every event a shape of its own.
      if (head.length <= MAX_PART_BYTES && tail.length <= MAX_PART_BYTES)
        this.#shapes.push(sharedShape(offset, head, tail));
      return;
    }
  }
}

/** The offset past the event of this shape that begins at `start`, or −1 if none does. */
function endOf(bytes: Buffer, start: number, { offset, head, tail }: Shape): number {
  const textAt = start + offset + head.length;
  // An empty text is no content.
  if (textAt >= bytes.length || bytes[textAt] === QUOTE) return -1;
  if (!matches(bytes, start + offset, head) || !matches(bytes, start, DATA)) return -1;
  if (!isOneEvent(bytes, start + DATA.length, start + offset)) return -1;
  const textEnd = endOfText(bytes, textAt);
  return matches(bytes, textEnd, tail) ? textEnd + tail.length : -1;
}

/** Events end with two line ends in a row, so that looking at every second byte is enough. */
function isOneEvent(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 2) if (bytes[at]! < SPACE) return false;
  return true;
}

/** The quote that ends a text, or the end. A loop: for a few bytes a native search (`closingQuote`) costs more. */
function endOfText(bytes: Buffer, from: number): number {
  let at = from;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) break;
    if (byte === BACKSLASH) at += 1;
  }
  return at;
}

function matches(bytes: Buffer, at: number, wanted: Buffer): boolean {
  for (let i = 0; i < wanted.length; i += 1) {
    if (bytes[at + i] !== wanted[i]) return false;
  }
  return true;
}

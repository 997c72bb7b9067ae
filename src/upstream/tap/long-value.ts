import { errorOf } from '../errors/error-within.ts';
import { closingQuote, isEscaped } from '../wire/json-strings.ts';
import { asWire, choicesOf, jsonOf } from '../wire/wire-chunk.ts';

const BEGINNING = Buffer.from('data: ');
/** Far above what stands before a picture. */
const MOST_HEAD_BYTES = 64 * 1024;
/** Text that a model writes comes in small pieces; where it does not, something is wrong. */
const TEXT_KEYS: ReadonlySet<string> = new Set([
  'content',
  'text',
  'reasoning',
  'reasoning_content',
  'refusal',
  'thinking',
  'arguments',
]);
const KEY = /"([^"\\]*)"\s*:\s*"$/;
const LAST_CHARS = 100;

const LF = 0x0a;
const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;

/**
 * A picture or a sound on its way: a string in an event that is so large that it goes on to the client before the
 * event has ended. What stands before it shows that the event is a piece of a reply; what comes after it is looked at
 * once it is there.
 *
 *   data: {"choices":[{"index":0,"delta":{"images":[{"url":"…………","type":…}]},"finish_reason":"stop"}],"usage":{…}}
 *   └───────────────────── head ──────────────────────────┘ value └───────────── looked at ────────────┘
 */
export class LongValue {
  /** With the quote that opens the value. */
  readonly head: Buffer;
  #sizeBytes = 0;
  /** The next byte means nothing. */
  #isEscaped = false;

  private constructor(head: Buffer) {
    this.head = head;
  }

  /** @param event The beginning of an event. @returns Undefined: all of it has to be looked at before any of it goes on. */
  static in(event: Buffer): LongValue | undefined {
    if (!event.subarray(0, BEGINNING.length).equals(BEGINNING) || event.includes(LF)) return undefined;
    const opening = openString(event);
    if (opening === undefined) return undefined;
    const { start, closing } = opening;
    const head = Buffer.from(event.subarray(0, start));
    const key = KEY.exec(head.toString('latin1', Math.max(0, start - LAST_CHARS)))?.[1];
    if (key !== undefined && TEXT_KEYS.has(key)) return undefined;
    if (!isPieceOfReply(`${head.toString('utf8', BEGINNING.length)}"${closing}`)) return undefined;
    const value = new LongValue(head);
    value.end(event.subarray(start));
    return value;
  }

  /** @returns The offset of the quote that ends it, −1 if it goes on. Undefined: it cannot be a string. */
  end(bytes: Buffer): number | undefined {
    const start = this.#isEscaped ? 1 : 0;
    const quote = closingQuote(bytes, start);
    const end = quote < 0 ? bytes.length : quote;
    this.#isEscaped = isEscaped(bytes, end, start);
    this.#sizeBytes += end;
    return bytes.subarray(0, end).includes(LF) ? undefined : quote;
  }

  /** What the event is looked at by: a size in place of the value. */
  get shortened(): Buffer {
    return Buffer.concat([this.head, Buffer.from(`(${this.#sizeBytes} bytes)`)]);
  }
}

/** The string that has not ended, and what would end all that it stands in. */
function openString(event: Buffer): { readonly start: number; readonly closing: string } | undefined {
  let closing = '';
  for (let at = BEGINNING.length; at < Math.min(event.length, MOST_HEAD_BYTES); at += 1) {
    switch (event[at]) {
      case OPEN_BRACE:
        closing = `}${closing}`;
        break;
      case OPEN_BRACKET:
        closing = `]${closing}`;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        closing = closing.slice(1);
        break;
      case QUOTE: {
        const start = at + 1;
        at = closingQuote(event, start);
        if (at < 0) return { start, closing };
      }
    }
  }
  return undefined;
}

/** There is nothing in it that its client might not be shown. */
function isPieceOfReply(data: string): boolean {
  const said = jsonOf(data);
  const chunk = asWire(said);
  return errorOf(said) === undefined && choicesOf(chunk).length > 0 && chunk.usage === undefined;
}

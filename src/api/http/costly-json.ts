import { AppError } from '../../core/error.ts';

/** Far more than any real request has; JSON.parse stays below about 100 ms within them. */
const MAX_DEPTH = 128;
const MAX_CONTAINERS_AND_KEYS = 100_000;
const MAX_VALUES = 1_000_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What a byte outside strings means for the cost. */
const OPENS = 1;
const CLOSES = 2;
const FOLLOWS_KEY = 3;
const SEPARATES = 4;
const STARTS_STRING = 5;
const MEANING = new Uint8Array(256);
for (const [bytes, meaning] of [
  ['[{', OPENS],
  [']}', CLOSES],
  [':', FOLLOWS_KEY],
  [',', SEPARATES],
  ['"', STARTS_STRING],
] as const) {
  for (const byte of Buffer.from(bytes)) MEANING[byte] = meaning;
}
/**
 * Throws a 400 for a text that JSON.parse would need long for, before it does. Time and memory of JSON.parse go with the
 * number of values, not of bytes: 32 MB of `[[[[…` block a thread for some 15 s and 32 MB of `{},{},…` take 2 GB, while
 * 32 MB of one string take 80 ms. Does not judge whether the text is JSON at all.
 */
export function refuseCostlyJson(text: Uint8Array): void {
  let depth = 0;
  let containersAndKeys = 0;
  let values = 0;
  for (let i = 0; i < text.length; i++) {
    switch (MEANING[text[i]!]) {
      case 0:
        break;
      case OPENS:
        if (++depth > MAX_DEPTH) throw refusal(`is nested deeper than ${MAX_DEPTH} levels`);
        if (++containersAndKeys > MAX_CONTAINERS_AND_KEYS) throw tooMany();
        break;
      case CLOSES:
        // Not JSON: the parser will say so at once.
        if (--depth < 0) return;
        break;
      case FOLLOWS_KEY:
        if (++containersAndKeys > MAX_CONTAINERS_AND_KEYS) throw tooMany();
        break;
      case SEPARATES:
        if (++values > MAX_VALUES) throw tooMany();
        break;
      case STARTS_STRING:
        i = endOfString(text, i + 1);
    }
  }
}

/**
 * The index of the closing quote, or the end of a text that has none. Byte by byte at first, because most strings
 * are short; then by `indexOf`, which is some ten times as fast.
 */
function endOfString(text: Uint8Array, start: number): number {
  let from = start;
  for (;;) {
    const nearby = Math.min(from + 32, text.length);
    for (; from < nearby; from++) {
      const byte = text[from];
      if (byte === QUOTE) return from;
      if (byte === BACKSLASH) from++;
    }
    if (from >= text.length) return text.length;
    const quote = text.indexOf(QUOTE, from);
    if (quote < 0) return text.length;
    let backslashes = 0;
    while (quote - 1 - backslashes >= from && text[quote - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote;
    from = quote + 1;
  }
}

function tooMany(): AppError {
  return refusal('has too many values');
}

function refusal(problem: string): AppError {
  return new AppError('invalid_value', { message: `Invalid request: The request body ${problem}.` });
}

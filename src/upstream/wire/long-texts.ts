import { applyEdits, type Edit } from './json-edits.ts';
import { closingQuote } from './json-strings.ts';

/** Up to here parsing is done soon enough. */
const USUAL_EVENT_BYTES = 256 * 1024;
const USUAL_TEXT_BYTES = 1024;
/** Far above any honest event, long texts aside. */
const MOST_OTHER_BYTES = 1024 * 1024;

const QUOTE = 0x22;
const LF = 0x0a;

/**
 * What is to be parsed of an event. In a large one, which nearly always brings a picture as one string, sizes stand in place of
 * long strings: for all of it a parser would hold everybody up.
 *
 * @returns Undefined: there is too much else.
 */
export function withoutLongTexts(event: Buffer): Buffer | undefined {
  if (event.length <= USUAL_EVENT_BYTES) return event;
  const edits: Edit[] = [];
  let longBytes = 0;
  for (let from = 0; from - longBytes <= MOST_OTHER_BYTES; ) {
    const start = event.indexOf(QUOTE, from) + 1;
    const end = start === 0 ? -1 : closingQuote(event, start);
    if (end < 0) break;
    from = end + 1;
    const size = end - start;
    // JSON has no ends of lines in strings: the event would have one more line.
    if (size <= USUAL_TEXT_BYTES || event.subarray(start, end).includes(LF)) continue;
    edits.push({ start, end, bytes: Buffer.from(`(${size} bytes)`) });
    longBytes += size;
  }
  if (event.length - longBytes > MOST_OTHER_BYTES) return undefined;
  return Buffer.concat(applyEdits(event, edits));
}

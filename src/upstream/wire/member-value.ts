import { shortText } from '../../core/short-text.ts';
import { type Member, skipSpace } from '../../core/skim.ts';

/** As JSON has them. */
const NOTHING: ReadonlySet<string> = new Set(['null', 'false', '""', '0']);
const NOTHING_BYTES = 'false'.length;
/** As a JSON string, whose letters may be escaped. */
const ERROR_WORD = /^"(?:e|\\u0065)(?:r|\\u0072){2}(?:o|\\u006[fF])(?:r|\\u0072)"$/;
const ERROR_WORD_BYTES = '"\\u0065\\u0072\\u0072\\u006f\\u0072"'.length;

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Of an `error`: that there is none, as `errorOf` has it. */
export function saysNone(text: Buffer, member: Member): boolean {
  return isShort(member, NOTHING_BYTES) && NOTHING.has(written(text, member));
}

/** Of an `object`: that it is an error. */
export function saysError(text: Buffer, member: Member): boolean {
  return isShort(member, ERROR_WORD_BYTES) && ERROR_WORD.test(written(text, member));
}

/** Of `choices`: anything but a list with something in it. */
export function isEmpty(text: Buffer, { valueStart }: Member): boolean {
  return text[valueStart] !== OPEN_BRACKET || text[skipSpace(text, valueStart + 1)] === CLOSE_BRACKET;
}

/** @throws SyntaxError */
export function parsedValue(text: Buffer, { valueStart, valueEnd }: Member): unknown {
  return JSON.parse(text.toString('utf8', valueStart, valueEnd));
}

function isShort({ valueStart, valueEnd }: Member, mostBytes: number): boolean {
  return valueEnd - valueStart <= mostBytes;
}

function written(text: Buffer, { valueStart, valueEnd }: Member): string {
  return shortText(text, valueStart, valueEnd).text;
}

import { AppError } from '../../core/error.ts';
import { type Member, type SkimmedObject, skipSpace } from '../../core/skim.ts';

/** Replaces bytes [start, end) of a text. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly bytes: Buffer;
}

const NOTHING = Buffer.alloc(0);
const COMMA = 0x2c;

/** @param edits In order. @returns The pieces of the new text; of the old one they are views. */
export function applyEdits(text: Buffer, edits: readonly Edit[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const edit of edits) {
    pieces.push(text.subarray(at, edit.start), edit.bytes);
    at = edit.end;
  }
  pieces.push(text.subarray(at));
  return pieces;
}

/**
 * Takes out a member with the comma before it or, where nothing stays in front of it, the one after it.
 *
 * @param isFirst Nothing stays in front of it.
 */
export function leavingOut(
  text: Buffer,
  { start, members }: SkimmedObject,
  index: number,
  isFirst: boolean,
): Edit {
  const { valueEnd } = members[index]!;
  const before = members[index - 1];
  if (before !== undefined && !isFirst) return { start: before.valueEnd, end: valueEnd, bytes: NOTHING };
  return {
    start: before === undefined ? start + 1 : pastComma(text, before.valueEnd),
    end: pastComma(text, valueEnd),
    bytes: NOTHING,
  };
}

/** The key as a parser reads it. @throws AppError `invalid_json` */
export function keyOf({ key, keyEscaped }: Member): string {
  return keyEscaped ? unescaped(key) : key;
}

function unescaped(key: string): string {
  try {
    return JSON.parse(`"${key}"`) as string;
  } catch (cause) {
    throw new AppError('invalid_json', { cause });
  }
}

/** The offset past the comma that follows, if one does. */
export function pastComma(text: Buffer, from: number): number {
  const at = skipSpace(text, from);
  return text[at] === COMMA ? at + 1 : at;
}

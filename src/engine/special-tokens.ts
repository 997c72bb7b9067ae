/** A token that is recognised in text as a whole, before anything is merged. */
export interface SpecialToken {
  readonly id: number;
  readonly text: string;
  /** White space before it, or behind it, belongs to it. */
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
}

const WHITE_SPACE = /\p{White_Space}/u;

/** Cuts text at special tokens, the longest first where several begin at the same place. */
export class SpecialTokens {
  readonly #tokens: ReadonlyMap<string, SpecialToken>;
  readonly #pattern: RegExp | undefined;

  /** Where several have the same text, the last one is meant. */
  constructor(tokens: readonly SpecialToken[]) {
    this.#tokens = new Map(tokens.filter(({ text }) => text !== '').map((token) => [token.text, token]));
    this.#pattern = anyOf([...this.#tokens.keys()]);
  }

  /** Ids of special tokens, and what is between them. */
  split(text: string): (string | number)[] {
    if (this.#pattern === undefined) return [text];
    const pieces: (string | number)[] = [];
    let from = 0;
    for (const { 0: found, index } of text.matchAll(this.#pattern)) {
      // Within the white space of the one before.
      if (index < from) continue;
      const { id, stripsLeft, stripsRight } = this.#tokens.get(found)!;
      let end = index;
      while (stripsLeft && end > from && WHITE_SPACE.test(text[end - 1]!)) end--;
      if (end > from) pieces.push(text.slice(from, end));
      pieces.push(id);
      from = index + found.length;
      while (stripsRight && from < text.length && WHITE_SPACE.test(text[from]!)) from++;
    }
    if (from < text.length) pieces.push(text.slice(from));
    return pieces;
  }
}

/** Finds each of the strings, the longest first where several begin at the same place; undefined when there are none. */
export function anyOf(strings: readonly string[]): RegExp | undefined {
  if (strings.length === 0) return undefined;
  const longestFirst = [...strings].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map(escapeForRegExp).join('|'), 'gu');
}

/** RegExp.escape is newer than the oldest Node we run on. */
function escapeForRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

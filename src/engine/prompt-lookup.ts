/** An earlier place is worth a draft if this many tokens there are the same as at the end. */
const LEAST_MATCH = 3;

/** No more than this are compared: that is a match. */
export const LONGEST_MATCH = 16;

/**
 * How many earlier places of the last two tokens are compared, the latest first, so that making a draft takes the
 * same time in any text.
 */
const MOST_PLACES = 32;

export interface Draft {
  readonly tokens: readonly number[];
  /** Tokens at the end that were found earlier, `LEAST_MATCH` to `LONGEST_MATCH`. */
  readonly matched: number;
}

/**
 * Guesses how a text goes on: as it did where its last tokens were seen before. It is updated with every token, and
 * never reads the text again. Source of the idea: prompt lookup decoding (Saxena, 2023); of the chains of places:
 * LZ77 compressors.
 */
export class PromptLookup {
  readonly #tokens: number[] = [];
  /** By position: the one before it where the same two tokens ended; -1 if there is none. */
  readonly #before: number[] = [];
  /** By pair of tokens: the last position where it ended. */
  readonly #latest = new Map<number, number>();

  get length(): number {
    return this.#tokens.length;
  }

  push(token: number): void {
    const position = this.#tokens.length;
    const pair = (this.#tokens[position - 1] ?? -1) * 2 ** 26 + token;
    this.#tokens.push(token);
    this.#before.push(this.#latest.get(pair) ?? -1);
    this.#latest.set(pair, position);
  }

  /** The next `count` tokens, as after the longest of the earlier matches, among equals the latest. */
  draft(count: number): Draft | undefined {
    const last = this.#tokens.length - 1;
    let matched = LEAST_MATCH - 1;
    let at = -1;
    let place = this.#before[last] ?? -1;
    for (let i = 0; i < MOST_PLACES && place >= 0 && matched < LONGEST_MATCH; i++) {
      const length = this.#matchAt(place);
      if (length > matched) {
        matched = length;
        at = place;
      }
      place = this.#before[place]!;
    }
    if (at < 0) return undefined;
    const tokens: number[] = [];
    // Where the place is so close that its continuation is the end of the text itself, the text is repeating itself,
    // and so does the draft.
    for (let i = 1; i <= count; i++) tokens.push(this.#tokens[at + i] ?? tokens[at + i - last - 1]!);
    return { tokens, matched };
  }

  /** How many tokens up to `place` are the same as at the end. */
  #matchAt(place: number): number {
    const last = this.#tokens.length - 1;
    let length = 0;
    while (
      length < LONGEST_MATCH &&
      length <= place &&
      this.#tokens[place - length] === this.#tokens[last - length]
    )
      length++;
    return length;
  }
}

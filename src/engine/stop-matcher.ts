/** What may be shown after a push. `match`: the stop string that ended the text; nothing follows it. */
export interface StopResult {
  readonly text: string;
  readonly match: string | undefined;
}

/**
 * Looks for stop strings in text that arrives in pieces.
 *
 * Invariant: the outcome depends on the text alone, not on how it was cut. The match is the stop string that is complete
 * first, reading character by character (of those complete at once, the longest). Text is held back exactly while it may
 * still be the beginning of a stop string.
 */
export class StopMatcher {
  readonly #strings: readonly string[];
  readonly #includeMatch: boolean;
  #held = '';

  constructor(strings: readonly string[], includeMatch: boolean) {
    this.#strings = strings.filter((s) => s !== '');
    this.#includeMatch = includeMatch;
  }

  push(text: string): StopResult {
    if (this.#strings.length === 0) return { text, match: undefined };
    const joined = this.#held + text;
    const found = firstComplete(joined, this.#strings);
    if (found !== undefined) {
      this.#held = '';
      const end = this.#includeMatch ? found.end : found.end - found.match.length;
      return { text: joined.slice(0, end), match: found.match };
    }
    const keep = longestBeginning(joined, this.#strings);
    this.#held = joined.slice(joined.length - keep);
    return { text: joined.slice(0, joined.length - keep), match: undefined };
  }

  /** Releases what was held back: the reply ended, so it is no stop string after all. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }
}

function firstComplete(text: string, strings: readonly string[]): { match: string; end: number } | undefined {
  let best: { match: string; end: number } | undefined;
  for (const match of strings) {
    const at = text.indexOf(match);
    if (at < 0) continue;
    const end = at + match.length;
    if (best === undefined || end < best.end || (end === best.end && match.length > best.match.length))
      best = { match, end };
  }
  return best;
}

/** Length of the longest end of `text` that is a proper beginning of one of `strings`. */
function longestBeginning(text: string, strings: readonly string[]): number {
  let longest = 0;
  for (const s of strings) {
    for (let length = Math.min(s.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(s.slice(0, length))) {
        longest = length;
        break;
      }
    }
  }
  return longest;
}

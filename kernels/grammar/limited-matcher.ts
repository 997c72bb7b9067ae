import { JsonScanner, longestTail, plainLead } from './json-scanner.ts';
import { MOST_COUNTED, type StringLimits } from './string-limits.ts';
import type { GrammarMatcher } from './token-grammars.ts';

/** What limits have to know of the tokens of a vocabulary; made once for each. */
export class TokenLengths {
  readonly tokens: readonly Uint8Array[];
  /** By id, characters that it adds to a string. */
  readonly leads: Uint16Array;
  readonly longestLead: number;
  /** Tokens that end one string and write much of another: never allowed, so that no limit has to look ahead. */
  readonly unusable: readonly number[];

  constructor(tokens: readonly Uint8Array[]) {
    this.tokens = tokens;
    this.leads = Uint16Array.from(tokens, plainLead);
    this.longestLead = this.leads.reduce((a, b) => Math.max(a, b), 0);
    this.unusable = tokens.flatMap((bytes, id) => (longestTail(bytes) > MOST_COUNTED ? [id] : []));
  }
}

/** A matcher of JSON whose strings are kept within limits besides. Same contract as GrammarMatcher. */
export class LimitedMatcher {
  readonly mask: Int32Array;
  readonly #matcher: GrammarMatcher;
  readonly #limits: StringLimits;
  readonly #lengths: TokenLengths;
  readonly #scanner = new JsonScanner();

  constructor(matcher: GrammarMatcher, limits: StringLimits, lengths: TokenLengths) {
    this.#matcher = matcher;
    this.#limits = limits;
    this.#lengths = lengths;
    this.mask = new Int32Array(matcher.mask.length);
    this.#fill();
  }

  get mustEnd(): boolean {
    return this.#matcher.mustEnd;
  }

  accept(token: number): boolean {
    if (!this.#matcher.accept(token)) return false;
    this.#scanner.push(this.#lengths.tokens[token]!);
    this.#fill();
    return true;
  }

  dispose(): void {
    this.#matcher.dispose();
  }

  #fill(): void {
    this.mask.set(this.#matcher.mask);
    for (const token of this.#lengths.unusable) this.#exclude(token);
    const string = this.#scanner.inString;
    if (string === undefined) return;
    const left = this.#limits.of(string.property) - string.characters;
    const { leads, longestLead, tokens } = this.#lengths;
    if (left >= longestLead) return;
    const isPlain = this.#scanner.isBetweenCharacters;
    for (let word = 0; word < this.mask.length; word++) {
      for (let bits = this.mask[word]!; bits !== 0; bits &= bits - 1) {
        const token = word * 32 + 31 - Math.clz32(bits & -bits);
        const lead = isPlain ? leads[token]! : this.#scanner.lead(tokens[token]!);
        if (lead > left) this.#exclude(token);
      }
    }
  }

  #exclude(token: number): void {
    this.mask[token >> 5]! &= ~(1 << (token & 31));
  }
}

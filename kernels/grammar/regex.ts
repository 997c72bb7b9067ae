import { ANY, type CodePoints, union, without } from './code-points.ts';
import { GrammarError } from './grammar-error.ts';

/** A regular expression as a tree. Anchors are only known at the two ends. */
export type Regex =
  | { readonly kind: 'set'; readonly set: CodePoints; readonly explicit: boolean }
  | { readonly kind: 'sequence'; readonly items: readonly Regex[] }
  | { readonly kind: 'choice'; readonly items: readonly Regex[] }
  | { readonly kind: 'repeat'; readonly item: Regex; readonly min: number; readonly max: number }
  | { readonly kind: 'start' | 'end' };

const MOST_LEVELS = 100;
const LONGEST_PATTERN_CHARS = 8_192;
/** Larger counts are refused: every repetition is a state of the automaton. */
const MOST_REPEATS = 100_000;

const DIGITS: CodePoints = [[0x30, 0x39]];
const WORD: CodePoints = union(DIGITS, [
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);
const SPACE: CodePoints = union([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);
const LINE_ENDS: CodePoints = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
];
const CLASSES: Readonly<Record<string, CodePoints>> = {
  d: DIGITS,
  D: without(ANY, DIGITS),
  w: WORD,
  W: without(ANY, WORD),
  s: SPACE,
  S: without(ANY, SPACE),
};
const CONTROL: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };

/**
 * Parses the part of ECMAScript's regular expressions that is regular. Throws GrammarError for the rest (lookaround,
 * backreferences, word boundaries, Unicode properties) and for what is no expression at all.
 */
export function parseRegex(pattern: string): Regex {
  if (pattern.length > LONGEST_PATTERN_CHARS)
    throw new GrammarError(`has a pattern of more than ${LONGEST_PATTERN_CHARS} characters`);
  return new Parser(pattern).parse();
}

class Parser {
  readonly #characters: readonly string[];
  readonly #pattern: string;
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#characters = [...pattern.toWellFormed()];
  }

  parse(): Regex {
    const regex = this.#choice(0);
    if (this.#at < this.#characters.length) throw this.#error('has an unmatched )');
    return regex;
  }

  #choice(level: number): Regex {
    if (level > MOST_LEVELS) throw this.#error('is nested too deeply');
    const items = [this.#sequence(level)];
    while (this.#take('|')) items.push(this.#sequence(level));
    return items.length === 1 ? items[0]! : { kind: 'choice', items };
  }

  #sequence(level: number): Regex {
    const items: Regex[] = [];
    for (;;) {
      const next = this.#peek();
      if (next === undefined || next === '|' || next === ')') return { kind: 'sequence', items };
      items.push(this.#quantified(this.#atom(level)));
    }
  }

  #atom(level: number): Regex {
    const character = this.#next();
    switch (character) {
      case '^':
        return { kind: 'start' };
      case '$':
        return { kind: 'end' };
      case '.':
        return { kind: 'set', set: without(ANY, LINE_ENDS), explicit: false };
      case '[':
        return this.#class();
      case '(': {
        if (this.#take('?')) this.#groupKind();
        const inner = this.#choice(level + 1);
        if (!this.#take(')')) throw this.#error('has an unmatched (');
        return inner;
      }
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
        throw this.#error('has nothing to repeat');
      default:
        return single(character.codePointAt(0)!);
    }
  }

  #groupKind(): void {
    if (this.#take(':')) return;
    if (this.#peek() === '<' && !['=', '!'].includes(this.#characters[this.#at + 1] ?? '')) {
      while (this.#next() !== '>');
      return;
    }
    throw this.#error('uses lookaround or modifiers, which are not supported');
  }

  #escape(): Regex {
    const name = this.#peek() ?? '';
    if (Object.hasOwn(CLASSES, name)) {
      this.#at++;
      return { kind: 'set', set: CLASSES[name]!, explicit: name === name.toLowerCase() };
    }
    if (/[bB]/.test(name)) throw this.#error('uses word boundaries, which are not supported');
    return single(this.#escapedCodePoint());
  }

  #escapedCodePoint(): number {
    const name = this.#next();
    if (/[1-9k]/.test(name)) throw this.#error('uses backreferences, which are not supported');
    if (/[pP]/.test(name)) throw this.#error('uses Unicode properties, which are not supported');
    if (Object.hasOwn(CONTROL, name)) return CONTROL[name]!;
    if (name === 'x') return this.#hex(2);
    if (name === 'u') {
      if (!this.#take('{')) return this.#surrogates(this.#hex(4));
      const digits: string[] = [];
      for (let digit = this.#next(); digit !== '}'; digit = this.#next()) digits.push(digit);
      return this.#codePoint(digits.join(''));
    }
    if (/[A-Za-z]/.test(name)) throw this.#error(`has the unknown escape \\${name}`);
    return name.codePointAt(0)!;
  }

  /** `\uD83D\uDE00` is one character. */
  #surrogates(unit: number): number {
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    if (unit < 0xdc00 && this.#take('\\') && this.#take('u')) {
      const low = this.#hex(4);
      if (low >= 0xdc00 && low <= 0xdfff) return ((unit - 0xd800) << 10) + (low - 0xdc00) + 0x10000;
    }
    throw this.#error('has half a surrogate pair');
  }

  #hex(length: number): number {
    return this.#codePoint(Array.from({ length }, () => this.#next()).join(''));
  }

  #codePoint(digits: string): number {
    const value = /^[0-9A-Fa-f]{1,8}$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
    if (!(value <= 0x10ffff)) throw this.#error('has a malformed escape');
    return value;
  }

  #class(): Regex {
    const negated = this.#take('^');
    const sets: CodePoints[] = [];
    while (!this.#take(']')) {
      const from = this.#classItem();
      if (typeof from === 'number' && this.#peek() === '-' && this.#characters[this.#at + 1] !== ']') {
        this.#at++;
        const to = this.#classItem();
        if (typeof to !== 'number' || to < from) throw this.#error('has a range that is out of order');
        sets.push([[from, to]]);
      } else sets.push(typeof from === 'number' ? [[from, from]] : from);
    }
    const set = union(...sets);
    return { kind: 'set', set: negated ? without(ANY, set) : set, explicit: !negated };
  }

  #classItem(): number | CodePoints {
    const character = this.#next();
    if (character !== '\\') return character.codePointAt(0)!;
    const name = this.#peek() ?? '';
    if (name === 'b') {
      this.#at++;
      return 8;
    }
    if (!Object.hasOwn(CLASSES, name)) return this.#escapedCodePoint();
    this.#at++;
    return CLASSES[name]!;
  }

  #quantified(item: Regex): Regex {
    const range = this.#quantifier();
    if (range === undefined) return item;
    if (item.kind === 'start' || item.kind === 'end') throw this.#error('has nothing to repeat');
    // Lazy or not is the same for what may be written.
    this.#take('?');
    if (['*', '+', '?'].includes(this.#peek() ?? '')) throw this.#error('has nothing to repeat');
    return { kind: 'repeat', item, ...range };
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take('+')) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (this.#peek() !== '{') return undefined;
    const braces = /^\{(\d+)(,?)(\d*)\}/.exec(this.#characters.slice(this.#at, this.#at + 32).join(''));
    if (braces === null) return undefined;
    this.#at += braces[0].length;
    const min = Number(braces[1]);
    const max = braces[3] !== '' ? Number(braces[3]) : braces[2] === '' ? min : Number.POSITIVE_INFINITY;
    if (max < min) throw this.#error('has a quantifier that is out of order');
    if (min > MOST_REPEATS || (Number.isFinite(max) && max > MOST_REPEATS))
      throw this.#error(`repeats something more than ${MOST_REPEATS} times`);
    return { min, max };
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #next(): string {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw this.#error('ends too early');
    return character;
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #error(problem: string): GrammarError {
    const shown = this.#pattern.length > 80 ? `${this.#pattern.slice(0, 80)}…` : this.#pattern;
    return new GrammarError(`has the pattern ${JSON.stringify(shown)}, which ${problem}`);
  }
}

function single(codePoint: number): Regex {
  return { kind: 'set', set: [[codePoint, codePoint]], explicit: true };
}

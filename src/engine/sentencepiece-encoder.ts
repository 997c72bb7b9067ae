import { type FindMerge, mergePairs } from './pair-merger.ts';
import type { MergePrecedence, SentencePieceScheme } from './tokenizer-description.ts';

/** How SentencePiece writes a space: U+2581. */
export const SPACE_MARK = '▁';

const MOST_KEPT_WORDS = 20_000;
/** In UTF-16 units. */
const LONGEST_KEPT_WORD = 64;

/**
 * BPE as SentencePiece does it, over a text as a whole. Text is cut where no token of the vocabulary reaches across, which changes
 * nothing but the time it takes, and what a short piece became is kept.
 */
export class SentencePieceEncoder {
  readonly #vocabulary: ReadonlyMap<string, number>;
  readonly #scheme: SentencePieceScheme;
  readonly #findMerge: FindMerge;
  readonly #wordEnd: RegExp;
  readonly #words = new Map<string, readonly number[]>();
  readonly #utf8 = new TextEncoder();

  /** `vocabulary`: ids of the tokens that text may become, byte tokens left out. */
  constructor(scheme: SentencePieceScheme, vocabulary: ReadonlyMap<string, number>) {
    this.#scheme = scheme;
    this.#vocabulary = vocabulary;
    this.#findMerge = mergeFinder(scheme.precedence, vocabulary);
    this.#wordEnd = wordEnds(vocabulary.keys());
  }

  /** Appends the tokens of a text to `ids`. `first`: no other text stands before it. */
  encode(text: string, ids: number[], first: boolean): void {
    const { of, doubled } = this.#scheme.leadingSpace;
    const marked = text.replaceAll(' ', SPACE_MARK);
    const wantsSpace =
      (of === 'all' || (of === 'first' && first)) && (doubled || !marked.startsWith(SPACE_MARK));
    const whole = wantsSpace ? SPACE_MARK + marked : marked;
    for (const word of whole.split(this.#wordEnd)) for (const id of this.#encodeWord(word)) ids.push(id);
  }

  #encodeWord(word: string): readonly number[] {
    const known = this.#words.get(word);
    if (known !== undefined) return known;
    const ids: number[] = [];
    mergePairs(
      word,
      (character) => this.#vocabulary.get(character) ?? -1,
      this.#findMerge,
      (id, text) => (id >= 0 ? ids.push(id) : this.#spell(text, ids)),
    );
    if (word.length <= LONGEST_KEPT_WORD) {
      if (this.#words.size >= MOST_KEPT_WORDS) this.#words.clear();
      this.#words.set(word, ids);
    }
    return ids;
  }

  /** A character that the vocabulary lacks: its bytes, or one unknown token. */
  #spell(character: string, ids: number[]): void {
    const { byteIds, unknownId } = this.#scheme;
    const bytes = Array.from(this.#utf8.encode(character), (byte) => byteIds[byte]);
    if (bytes.every((id) => id !== undefined)) ids.push(...bytes);
    else if (unknownId !== undefined) ids.push(unknownId);
  }
}

function mergeFinder(precedence: MergePrecedence, vocabulary: ReadonlyMap<string, number>): FindMerge {
  if (precedence.by === 'score') {
    const { scores } = precedence;
    return (_left, _right, text) => {
      const id = vocabulary.get(text);
      return id === undefined ? undefined : { id, rank: -scores[id]! };
    };
  }
  const merges = new Map<number, { readonly id: number; readonly rank: number }>();
  for (const [rank, [left, right]] of precedence.merges.entries()) {
    const [leftId, rightId, id] = [left, right, left + right].map((entry) => vocabulary.get(entry));
    if (leftId !== undefined && rightId !== undefined && id !== undefined)
      merges.set(pairKey(leftId, rightId), { id, rank });
  }
  return (left, right) => (left < 0 || right < 0 ? undefined : merges.get(pairKey(left, right)));
}

/** Two ids in one number: a map of strings would take twice the memory. */
const pairKey = (left: number, right: number) => left * 2 ** 24 + right;

/** Where a word ends: before a space, unless a token holds what stands there. */
function wordEnds(entries: Iterable<string>): RegExp {
  const before = new Set([SPACE_MARK]);
  for (const entry of entries) {
    for (const [, character] of entry.matchAll(/([^▁])(?=▁)/gu)) before.add(character!);
  }
  const listed = [...before].map((character) => `\\u{${character.codePointAt(0)!.toString(16)}}`).join('');
  return new RegExp(`(?<=[^${listed}])(?=${SPACE_MARK})`, 'u');
}

import type { PreTokenizerRules } from './pre-tokenizer.ts';

/** The model's tokenizer is missing, broken, or of a kind we do not have. The message names it. */
export class TokenizerError extends Error {
  override readonly name = 'TokenizerError';
}

/** A tokenizer, whichever file it was read from. */
export interface TokenizerDescription {
  /** Tokens by id, as the vocabulary writes them: control and user-defined ones as they are, others as the scheme has it. */
  readonly entries: readonly string[];
  /** Ids of tokens that steer the model and are not text. */
  readonly control: ReadonlySet<number>;
  /** Ids of tokens that are text, but recognised as a whole before merging. */
  readonly userDefined: ReadonlySet<number>;
  /** Of control and user-defined tokens: those that white space before, or behind them, belongs to. */
  readonly stripsLeft: ReadonlySet<number>;
  readonly stripsRight: ReadonlySet<number>;
  readonly scheme: ByteLevelScheme | SentencePieceScheme;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** Whether prompts begin with `bosId`. */
  readonly addBos: boolean;
  /** Further tokens that the file says end a reply. */
  readonly endIds: readonly number[];
}

/** BPE over pieces of text whose bytes are written in the byte-level alphabet. */
export interface ByteLevelScheme {
  readonly kind: 'byte-level';
  /** In the order of their precedence. */
  readonly merges: readonly (readonly [string, string])[];
  readonly rules: PreTokenizerRules;
}

/**
 * BPE over text whose spaces are written as `▁` (Kudo and Richardson, SentencePiece, 2018). Characters that the vocabulary
 * lacks are written as bytes.
 */
export interface SentencePieceScheme {
  readonly kind: 'sentencepiece';
  readonly precedence: MergePrecedence;
  /** By byte; undefined where the vocabulary has no token for it. */
  readonly byteIds: readonly (number | undefined)[];
  /** For what cannot be written at all. */
  readonly unknownId: number | undefined;
  readonly leadingSpace: LeadingSpace;
}

/** Which two neighbours become one token first: those whose token has the highest score, or whose merge is listed first. */
export type MergePrecedence =
  | { readonly by: 'score'; readonly scores: ArrayLike<number> }
  | { readonly by: 'merge'; readonly merges: readonly (readonly [string, string])[] };

/** Which texts are written as if a space stood before them. A text is what lies between two special tokens. */
export interface LeadingSpace {
  readonly of: 'none' | 'first' | 'all';
  /** Also texts that begin with a space. */
  readonly doubled: boolean;
}

/** The byte that an entry such as `<0x0A>` stands for. */
export function byteOfEntry(entry: string): number | undefined {
  const [, digits] = /^<0x([0-9A-F]{2})>$/.exec(entry) ?? [];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

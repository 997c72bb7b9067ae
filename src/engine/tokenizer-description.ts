import type { PreTokenizerRules } from './pre-tokenizer.ts';

/** The model's tokenizer is missing, broken, or of a kind we do not have. The message names it. */
export class TokenizerError extends Error {
  override readonly name = 'TokenizerError';
}

/** A byte-level BPE tokenizer, whichever file it was read from. */
export interface TokenizerDescription {
  /** Tokens by id, as the vocabulary writes them: control and user-defined ones as they are, others in the byte-level alphabet. */
  readonly entries: readonly string[];
  /** Ids of tokens that steer the model and are not text. */
  readonly control: ReadonlySet<number>;
  /** Ids of tokens that are text, but recognised as a whole before merging. */
  readonly userDefined: ReadonlySet<number>;
  /** In the order of their precedence. */
  readonly merges: readonly (readonly [string, string])[];
  readonly rules: PreTokenizerRules;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** Whether prompts begin with `bosId`. */
  readonly addBos: boolean;
  /** Further tokens that the file says end a reply. */
  readonly endIds: readonly number[];
}

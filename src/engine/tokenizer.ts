import { bytesOfEntry } from './byte-level.ts';
import { ByteLevelEncoder } from './byte-level-encoder.ts';
import { END_OF_REPLY } from './end-of-reply.ts';
import { SentencePieceEncoder, SPACE_MARK } from './sentencepiece-encoder.ts';
import { type SpecialToken, SpecialTokens } from './special-tokens.ts';
import type { TokenizerDescription } from './tokenizer-description.ts';

export interface EncodeOptions {
  /**
   * Whether strings such as `<|im_end|>` become control tokens. Only for text that the server wrote itself (a template)
   * or whose author may steer the model; never for the contents of messages.
   */
  readonly control: boolean;
  /** Whether text or tokens stand before it in the prompt: some tokenizers write a space before the first text only. */
  readonly continued?: boolean;
}

interface PlainEncoder {
  /** Appends the tokens of a text without special tokens to `ids`. `first`: nothing stands before it. */
  encode(text: string, ids: number[], first: boolean): void;
}

/**
 * Text ↔ tokens, by one of two schemes. Which strings become control tokens is decided here: control tokens are not even in the
 * vocabulary that merging sees.
 */
export class Tokenizer {
  readonly vocabularySize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** Whether prompts begin with `bosId`. */
  readonly addBos: boolean;
  /** Tokens that end a reply. */
  readonly endIds: ReadonlySet<number>;
  /** The strings of all control tokens. */
  readonly controlStrings: readonly string[];
  /** No token stands for more bytes than this. */
  readonly longestTokenBytes: number;
  readonly #description: TokenizerDescription;
  readonly #bytes: readonly Uint8Array[];
  readonly #encoder: PlainEncoder;
  readonly #anySpecial: SpecialTokens;
  readonly #userDefined: SpecialTokens;

  constructor(description: TokenizerDescription) {
    const { entries, control, userDefined, bosId, eosId, stripsLeft, stripsRight } = description;
    const special = (ids: ReadonlySet<number>) =>
      [...ids].map((id): SpecialToken => {
        const text = entries[id]!;
        return { id, text, stripsLeft: stripsLeft.has(id), stripsRight: stripsRight.has(id) };
      });
    const controlTokens = special(control);
    this.#description = description;
    this.#userDefined = new SpecialTokens(special(userDefined));
    this.#anySpecial = new SpecialTokens([...special(userDefined), ...controlTokens]);
    this.#encoder = encoderOf(description);
    this.#bytes = tokenBytes(description);
    this.vocabularySize = entries.length;
    this.longestTokenBytes = this.#bytes.reduce((longest, bytes) => Math.max(longest, bytes.length), 1);
    this.controlStrings = [...new Set(controlTokens.map(({ text }) => text))].filter((text) => text !== '');
    this.bosId = bosId;
    this.eosId = eosId;
    this.addBos = description.addBos;
    this.endIds = new Set([
      ...[eosId, ...description.endIds].filter((id) => id !== undefined),
      ...controlTokens.filter(({ text }) => END_OF_REPLY.has(text)).map(({ id }) => id),
    ]);
  }

  encode(text: string, { control, continued = false }: EncodeOptions): number[] {
    const ids: number[] = [];
    const pieces = (control ? this.#anySpecial : this.#userDefined).split(text.toWellFormed());
    for (const [i, piece] of pieces.entries()) {
      if (typeof piece === 'number') ids.push(piece);
      else if (piece !== '') this.#encoder.encode(piece, ids, i === 0 && !continued);
    }
    return ids;
  }

  /** A lower bound for the number of tokens, at almost no cost. */
  fewestTokens(text: string): number {
    const { scheme, stripsLeft, stripsRight } = this.#description;
    let shortest = text;
    // Text is put into normal form C first, which may shorten it.
    if (scheme.kind === 'byte-level' && scheme.rules.normalizer !== null) shortest = text.normalize('NFC');
    if (stripsLeft.size + stripsRight.size > 0) shortest = shortest.replace(/\p{White_Space}+/gu, '');
    return Math.ceil(Buffer.byteLength(shortest) / this.longestTokenBytes);
  }

  /** Cuts text at control tokens: ids for those, the text between them as it is. */
  splitControl(text: string): readonly (string | number)[] {
    return this.#anySpecial.split(text);
  }

  /** The bytes a token stands for in the reply; none for control tokens. */
  textBytes(id: number): Uint8Array {
    return this.#description.control.has(id) ? NO_BYTES : this.tokenBytes(id);
  }

  /** The bytes of a token as it is named in log-probabilities: control tokens by their string. */
  tokenBytes(id: number): Uint8Array {
    return this.#bytes[id] ?? NO_BYTES;
  }

  /** How the vocabulary writes a token: for control tokens, the string templates use. */
  entry(id: number): string | undefined {
    return this.#description.entries[id];
  }

  /** The text that tokens stand for as a whole: a space that only marks its beginning is left out. */
  decode(ids: Iterable<number>): string {
    const text = Buffer.concat([...ids].map((id) => this.textBytes(id))).toString('utf8');
    const { scheme } = this.#description;
    const marked = scheme.kind === 'sentencepiece' && scheme.leadingSpace.of !== 'none';
    return marked && text.startsWith(' ') ? text.slice(1) : text;
  }
}

const NO_BYTES = new Uint8Array();

function encoderOf({ entries, control, userDefined, scheme }: TokenizerDescription): PlainEncoder {
  // What user-defined tokens are part of in a vocabulary of SentencePiece is merged from them, too.
  const unmerged = scheme.kind === 'sentencepiece' ? new Set(scheme.byteIds) : userDefined;
  const vocabulary = new Map<string, number>();
  for (const [id, entry] of entries.entries()) {
    if (entry !== '' && !control.has(id) && !unmerged.has(id)) vocabulary.set(entry, id);
  }
  return scheme.kind === 'sentencepiece'
    ? new SentencePieceEncoder(scheme, vocabulary)
    : new ByteLevelEncoder(scheme, vocabulary);
}

function tokenBytes({ entries, control, userDefined, scheme }: TokenizerDescription): Uint8Array[] {
  const utf8 = new TextEncoder();
  const asItIs = (id: number) => control.has(id) || userDefined.has(id);
  if (scheme.kind === 'byte-level')
    return entries.map((entry, id) =>
      asItIs(id) ? utf8.encode(entry) : (bytesOfEntry(entry) ?? utf8.encode(entry)),
    );
  const bytes = entries.map((entry, id) =>
    utf8.encode(control.has(id) ? entry : entry.replaceAll(SPACE_MARK, ' ')),
  );
  for (const [byte, id] of scheme.byteIds.entries()) {
    if (id !== undefined) bytes[id] = Uint8Array.of(byte);
  }
  return bytes;
}

import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import type { EncoderRow } from '../../kernels/encoder/feeds.ts';

/** Ids that stand around the texts, and their segments. */
interface Template {
  /** One text per gap: `[before, after]`, or `[before, between, after]` of a pair. */
  readonly pieces: readonly (readonly number[])[];
  readonly pieceTypes: readonly (readonly number[])[];
  readonly textTypes: readonly number[];
}

export interface PairLimits {
  /** Of the row. */
  readonly maxTokens: number;
  /** Of the document in it. */
  readonly documentTokens?: number | undefined;
}

/** What of a tokenizer.json is looked at here. The vocabulary of Unigram is a list of pairs, whose places are the ids. */
interface TokenizerFile {
  readonly model?: { readonly vocab?: object };
  readonly added_tokens?: readonly { readonly content: string; readonly id: unknown }[];
}

/** Graphs take int32, at least. */
const MOST_ID = 2 ** 31 - 1;

/** Longer texts are cut before they are tokenised: no language has tokens of so many characters on average. */
const MOST_CHARS_PER_TOKEN = 64;

/**
 * Texts → token ids, as `tokenizer.json` says (WordPiece, BPE, Unigram), by @huggingface/tokenizers. Its post-processor is
 * looked at once: where it puts special tokens does not depend on the text, and truncation has to happen before they come.
 */
export class EncoderTokenizer {
  readonly vocabularySize: number;
  readonly #hub: HubTokenizer;
  readonly #single: Template;
  readonly #pair: Template;

  /** Throws an Error when the tokenizer is of a kind that is not supported. */
  constructor(tokenizer: object, config: object) {
    refuseStrangeIds(tokenizer);
    this.#hub = new HubTokenizer({ ...tokenizer, padding: null, truncation: null }, config);
    this.vocabularySize = 1 + Math.max(...this.#hub.get_vocab(true).values());
    this.#single = this.#template('a');
    this.#pair = this.#template('a', 'b');
  }

  /** How many tokens are added to one text. */
  get specialTokens(): number {
    return this.#single.pieces.flat().length;
  }

  /**
   * One text. `length` is its number of tokens before it was cut to `maxTokens`: a lower bound where the text is so
   * long that it was cut before it was tokenised.
   */
  encode(text: string, maxTokens: number): { readonly row: EncoderRow; readonly length: number } {
    const ids = this.#plain(text, maxTokens);
    const room = Math.max(0, maxTokens - this.specialTokens);
    return {
      row: fill(this.#single, [ids.length > room ? ids.slice(0, room) : ids]),
      length: ids.length + this.specialTokens,
    };
  }

  /** The ids of a text that several pairs begin with, at most half of what a pair takes. */
  encodeQuery(text: string, maxTokens: number): readonly number[] {
    return this.#plain(text, maxTokens).slice(0, Math.max(1, Math.floor(this.#pairRoom(maxTokens) / 2)));
  }

  /** A query and a document, which is cut to what is left beside the query, or to fewer. */
  encodePair(
    query: readonly number[],
    document: string,
    { maxTokens, documentTokens = maxTokens }: PairLimits,
  ): EncoderRow {
    const room = Math.max(0, Math.min(documentTokens, this.#pairRoom(maxTokens) - query.length));
    return fill(this.#pair, [query, this.#plain(document, maxTokens).slice(0, room)]);
  }

  #pairRoom(maxTokens: number): number {
    return maxTokens - this.#pair.pieces.flat().length;
  }

  #plain(text: string, maxTokens: number): number[] {
    const most = (maxTokens + 1) * MOST_CHARS_PER_TOKEN;
    const cut = text.length > most ? text.slice(0, most) : text;
    return this.#hub.encode(cut.toWellFormed(), { add_special_tokens: false }).ids;
  }

  #template(...texts: readonly [string] | readonly [string, string]): Template {
    const [first, second = null] = texts;
    const encoding = this.#hub.encode(first, {
      text_pair: second,
      add_special_tokens: true,
      return_token_type_ids: true,
    });
    const ids: readonly number[] = encoding.ids;
    const types: readonly number[] = encoding.token_type_ids;
    const pieces: number[][] = [];
    const pieceTypes: number[][] = [];
    const textTypes: number[] = [];
    let at = 0;
    for (const text of texts) {
      const plain: readonly number[] = this.#hub.encode(text, { add_special_tokens: false }).ids;
      const start = ids.findIndex((_, i) => i >= at && plain.every((id, j) => ids[i + j] === id));
      if (plain.length === 0 || start === -1)
        throw new Error('the tokenizer changes a text when it adds special tokens');
      pieces.push(ids.slice(at, start));
      pieceTypes.push(types.slice(at, start));
      textTypes.push(types[start] ?? 0);
      at = start + plain.length;
    }
    pieces.push(ids.slice(at));
    pieceTypes.push(types.slice(at));
    return { pieces, pieceTypes, textTypes };
  }
}

/** The library drops what cannot be the index of an array, and gives it out all the same. */
function refuseStrangeIds(tokenizer: TokenizerFile): void {
  const { model, added_tokens: added } = tokenizer;
  const ids = [
    ...Object.entries(model?.vocab ?? {}).filter(([, id]) => !Array.isArray(id)),
    ...(added ?? []).map(({ content, id }) => [content, id] as const),
  ];
  for (const [token, id] of ids)
    if (!Number.isInteger(id) || Number(id) < 0 || Number(id) > MOST_ID)
      throw new Error(`it gives ${JSON.stringify(token)} the id ${JSON.stringify(id)}`);
}

function fill(
  { pieces, pieceTypes, textTypes }: Template,
  texts: readonly (readonly number[])[],
): EncoderRow {
  const ids: number[] = [];
  const typeIds: number[] = [];
  for (const [i, piece] of pieces.entries()) {
    ids.push(...piece);
    typeIds.push(...pieceTypes[i]!);
    const text = texts[i];
    if (text === undefined) continue;
    for (const id of text) ids.push(id);
    for (let n = 0; n < text.length; n++) typeIds.push(textTypes[i]!);
  }
  return typeIds.some((type) => type !== 0) ? { ids, typeIds } : { ids };
}

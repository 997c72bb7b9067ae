import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import { bytesOfEntry } from './byte-level.ts';
import type { TokenizerDescription } from './tokenizer-description.ts';

/** Control tokens that end a reply although the file names only one; the list llama.cpp keeps for the same reason. */
const END_OF_REPLY = [
  '<|im_end|>',
  '<|endoftext|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end_of_text|>',
  '<|end|>',
  '<end_of_turn>',
];

export interface EncodeOptions {
  /**
   * Whether strings such as `<|im_end|>` become control tokens. Only for text that the server wrote itself (a template)
   * or whose author may steer the model; never for the contents of messages.
   */
  readonly control: boolean;
}

/**
 * Byte-level BPE. Merging is done by @huggingface/tokenizers; which strings become control tokens is
 * decided here, and control tokens are not even in the vocabulary that merging sees.
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
  readonly #entries: readonly string[];
  readonly #bytes: readonly Uint8Array[];
  readonly #control: ReadonlySet<number>;
  readonly #hub: HubTokenizer;
  /** Text is put into normal form C first, which may shorten it. */
  readonly #composes: boolean;
  readonly #anySpecial: Splitter;
  readonly #userDefined: Splitter;

  constructor(description: TokenizerDescription) {
    const { entries, merges, rules, bosId, eosId } = description;
    const control = new Map<string, number>();
    const userDefined = new Map<string, number>();
    const vocabulary: Record<string, number> = Object.create(null);
    for (const [id, entry] of entries.entries()) {
      if (description.control.has(id)) control.set(entry, id);
      else if (description.userDefined.has(id)) userDefined.set(entry, id);
      else if (entry !== '') vocabulary[entry] = id;
    }
    const utf8 = new TextEncoder();
    this.#entries = entries;
    this.#bytes = entries.map((entry, id) =>
      description.control.has(id) || description.userDefined.has(id)
        ? utf8.encode(entry)
        : (bytesOfEntry(entry) ?? utf8.encode(entry)),
    );
    this.#control = description.control;
    this.vocabularySize = entries.length;
    this.longestTokenBytes = this.#bytes.reduce((longest, bytes) => Math.max(longest, bytes.length), 1);
    this.controlStrings = [...control.keys()].filter((s) => s !== '');
    this.bosId = bosId;
    this.eosId = eosId;
    this.addBos = description.addBos;
    this.endIds = new Set(
      [eosId, ...description.endIds, ...END_OF_REPLY.map((s) => control.get(s))].filter(
        (id) => id !== undefined,
      ),
    );
    this.#anySpecial = new Splitter(new Map([...userDefined, ...control]));
    this.#userDefined = new Splitter(userDefined);
    this.#composes = rules.normalizer !== null;
    this.#hub = new HubTokenizer(
      {
        added_tokens: [],
        normalizer: rules.normalizer,
        pre_tokenizer: rules.preTokenizer,
        post_processor: null,
        decoder: null,
        model: {
          type: 'BPE',
          unk_token: null,
          fuse_unk: false,
          byte_fallback: false,
          ignore_merges: rules.ignoreMerges,
          vocab: vocabulary,
          merges,
        },
      },
      {},
    );
  }

  encode(text: string, { control }: EncodeOptions): number[] {
    const ids: number[] = [];
    for (const piece of (control ? this.#anySpecial : this.#userDefined).split(text.toWellFormed())) {
      if (typeof piece === 'number') ids.push(piece);
      else this.#encodePlain(piece, ids);
    }
    return ids;
  }

  /** A lower bound for the number of tokens, at almost no cost. */
  fewestTokens(text: string): number {
    return Math.ceil(
      Buffer.byteLength(this.#composes ? text.normalize('NFC') : text) / this.longestTokenBytes,
    );
  }

  /** Cuts text at control tokens: ids for those, the text between them as it is. */
  splitControl(text: string): readonly (string | number)[] {
    return this.#anySpecial.split(text);
  }

  /** The bytes a token stands for in the reply; none for control tokens. */
  textBytes(id: number): Uint8Array {
    return this.#control.has(id) ? NO_BYTES : this.tokenBytes(id);
  }

  /** The bytes of a token as it is named in log-probabilities: control tokens by their string. */
  tokenBytes(id: number): Uint8Array {
    return this.#bytes[id] ?? NO_BYTES;
  }

  /** How the vocabulary writes a token: for control tokens, the string templates use. */
  entry(id: number): string | undefined {
    return this.#entries[id];
  }

  decode(ids: Iterable<number>): string {
    return Buffer.concat([...ids].map((id) => this.textBytes(id))).toString('utf8');
  }

  #encodePlain(text: string, ids: number[]): void {
    if (text === '') return;
    for (const id of this.#hub.encode(text, { add_special_tokens: false }).ids) {
      // A byte that the vocabulary lacks has no id.
      if (id !== undefined) ids.push(id);
    }
  }
}

const NO_BYTES = new Uint8Array();

/** Cuts text at given strings, the longest first where several begin at the same place. */
class Splitter {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #pattern: RegExp | undefined;

  constructor(ids: ReadonlyMap<string, number>) {
    this.#ids = ids;
    const strings = [...ids.keys()].filter((s) => s !== '').sort((a, b) => b.length - a.length);
    this.#pattern =
      strings.length === 0 ? undefined : new RegExp(strings.map(escapeForRegExp).join('|'), 'gu');
  }

  split(text: string): (string | number)[] {
    if (this.#pattern === undefined) return [text];
    const pieces: (string | number)[] = [];
    let from = 0;
    for (const match of text.matchAll(this.#pattern)) {
      if (match.index > from) pieces.push(text.slice(from, match.index));
      pieces.push(this.#ids.get(match[0])!);
      from = match.index + match[0].length;
    }
    if (from < text.length) pieces.push(text.slice(from));
    return pieces;
  }
}

/** RegExp.escape is newer than the oldest Node we run on. */
function escapeForRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import type { ByteLevelScheme } from './tokenizer-description.ts';

/** Byte-level BPE, by @huggingface/tokenizers. */
export class ByteLevelEncoder {
  readonly #hub: HubTokenizer;

  /** `vocabulary`: ids of the tokens that text may become. */
  constructor({ rules, merges }: ByteLevelScheme, vocabulary: ReadonlyMap<string, number>) {
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
          vocab: Object.assign(Object.create(null), Object.fromEntries(vocabulary)),
          merges,
        },
      },
      {},
    );
  }

  /** Appends the tokens of a text to `ids`. */
  encode(text: string, ids: number[]): void {
    for (const id of this.#hub.encode(text, { add_special_tokens: false }).ids) {
      // A byte that the vocabulary lacks has no id.
      if (id !== undefined) ids.push(id);
    }
  }
}

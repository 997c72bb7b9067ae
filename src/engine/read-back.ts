import { BLOCK_TOKENS, type PrefixCache } from './prefix-cache.ts';

/** Tokens of one step. A request that arrives in the meantime has to wait for half of it, on average. */
const CHUNK_TOKENS = BLOCK_TOKENS;

/** More replies than this are forgotten, the oldest first. */
const MOST_REPLIES = 64;

interface Reply {
  readonly promptLength: number;
  /** Prompt and output. */
  readonly tokens: readonly number[];
  /** Of the cache. */
  readonly salt: string;
}

interface PrefillingDecoder {
  prefill(slot: number, tokens: ArrayLike<number>, past: number, wantLogits: boolean): unknown;
}

/**
 * Computes finished replies once more, as prompts, while there is nothing else to do: the next turn of a chat begins with
 * them, and what was decoded cannot be kept, because it rounds differently.
 *
 * Only while no sequence has a slot. It keeps no state of its own from step to step: how far it has come is what the
 * cache holds.
 */
export class ReadBack {
  readonly #decoder: PrefillingDecoder;
  readonly #cache: PrefixCache;
  readonly #slot: number;
  readonly #replies: Reply[] = [];

  /** @param slot Where it works: better not in the first, where the next turn of a chat finds most of the one before. */
  constructor(decoder: PrefillingDecoder, cache: PrefixCache, slot: number) {
    this.#decoder = decoder;
    this.#cache = cache;
    this.#slot = slot;
  }

  add(prompt: readonly number[], output: readonly number[], salt = ''): void {
    this.#replies.push({ promptLength: prompt.length, tokens: [...prompt, ...output], salt });
    if (this.#replies.length > MOST_REPLIES) this.#replies.shift();
  }

  /** Takes one step. Returns the number of tokens computed; 0: there is nothing to do. */
  step(): number {
    for (;;) {
      // The newest first: it is read back before its next turn comes, even if there are many.
      const reply = this.#replies.at(-1);
      if (reply === undefined) return 0;
      const { tokens, salt } = reply;
      const from = this.#cache.restorable(tokens, salt);
      // A prompt that is no longer in the cache has made way for others, which would have to make way for it again.
      const worthwhile = from >= wholeBlocks(reply.promptLength) && from < tokens.length - 1;
      if (!worthwhile) {
        this.#replies.pop();
        continue;
      }
      const to = Math.min(tokens.length, from + CHUNK_TOKENS);
      this.#cache.restore(tokens, from, this.#slot, salt);
      this.#decoder.prefill(this.#slot, tokens.slice(from, to), from, false);
      if (to < tokens.length) this.#cache.keep(tokens, to, this.#slot, salt);
      else this.#cache.keepAll(tokens, this.#slot, salt);
      if (this.#cache.restorable(tokens, salt) <= from) this.#replies.pop();
      return to - from;
    }
  }
}

function wholeBlocks(tokens: number): number {
  return tokens - (tokens % BLOCK_TOKENS);
}

/**
 * Positions kept, found and evicted together. What is left over of a prompt is computed again, 4 on the average, and a
 * token costs 2.6 ms in so short a chunk (SmolLM2-135M, one core); smaller blocks take longer to copy than they save.
 */
export const BLOCK_TOKENS = 8;

/** KV memory as the cache sees it; see kernels/decoder.ts. */
export interface CopyableKv {
  /** Numbers for each position. */
  readonly positionElements: number;
  save(slot: number, position: number, into: Float32Array): void;
  restore(from: Float32Array, slot: number, position: number): void;
}

interface Block {
  readonly id: number;
  readonly key: string;
  readonly kv: Float32Array;
}

/**
 * KV memory of prompts that were computed, for later prompts that begin alike.
 *
 *     beginning ─ block ─ block ─ block      found by the block before it and its own tokens,
 *                   └──── block              that is by all tokens up to its end: no hash that could collide
 *
 * Invariants:
 * - What was kept under one salt is not found under another: one tenant cannot tell from the time to its first token what
 *   another has asked.
 * - Only what `prefill` computed is kept, never decoded positions: the two round differently, and a hit gives the same
 *   bits as a miss.
 * - No block was used less recently than one behind it. So the one unused for longest ends its chain, and evicting it
 *   leaves no block that cannot be found.
 * - Kept are at most `maxBytes`. Memory is taken when it is first needed, and evicted blocks' memory is used again.
 */
export class PrefixCache {
  readonly #kv: CopyableKv;
  readonly #maxBlocks: number;
  readonly #blockElements: number;
  /** By key, the one unused for longest first. */
  readonly #blocks = new Map<string, Block>();
  #nextId = 1;

  constructor(kv: CopyableKv, maxBytes: number) {
    this.#kv = kv;
    this.#blockElements = BLOCK_TOKENS * kv.positionElements;
    this.#maxBlocks = Math.floor(maxBytes / (this.#blockElements * Float32Array.BYTES_PER_ELEMENT));
  }

  get sizeBytes(): number {
    return this.#blocks.size * this.#blockElements * Float32Array.BYTES_PER_ELEMENT;
  }

  /** Positions of a prompt that can be restored; never all, since the last one's logits are not kept. */
  restorable(prompt: readonly number[], salt = ''): number {
    return Math.min(this.#chain(prompt, salt).length * BLOCK_TOKENS, prompt.length - 1);
  }

  /** Fills the first `length` positions of a slot, which `restorable` has said to be there. */
  restore(prompt: readonly number[], length: number, slot: number, salt = ''): void {
    const chain = this.#chain(prompt, salt).slice(0, Math.ceil(length / BLOCK_TOKENS));
    for (const [i, { kv }] of chain.entries()) this.#kv.restore(kv, slot, i * BLOCK_TOKENS);
    this.#touch(chain);
  }

  /** Keeps the whole blocks among the first `length` positions of a prompt, which a slot holds; as many as fit. */
  keep(prompt: readonly number[], length: number, slot: number, salt = ''): void {
    const chain = this.#chain(prompt, salt);
    // So that room is made at the cost of other chains first.
    this.#touch(chain);
    for (let at = chain.length * BLOCK_TOKENS; at + BLOCK_TOKENS <= length; at += BLOCK_TOKENS) {
      const kv = this.#room(chain);
      if (kv === undefined) break;
      this.#kv.save(slot, at, kv);
      const block = { id: this.#nextId++, key: keyOf(chain.at(-1) ?? salt, prompt, at), kv };
      this.#blocks.set(block.key, block);
      chain.push(block);
    }
    this.#touch(chain);
  }

  /** The blocks that a prompt begins with. */
  #chain(prompt: readonly number[], salt: string): Block[] {
    const chain: Block[] = [];
    for (let at = 0; at + BLOCK_TOKENS <= prompt.length; at += BLOCK_TOKENS) {
      const block = this.#blocks.get(keyOf(chain.at(-1) ?? salt, prompt, at));
      if (block === undefined) break;
      chain.push(block);
    }
    return chain;
  }

  #touch(chain: readonly Block[]): void {
    for (const block of chain.toReversed()) {
      this.#blocks.delete(block.key);
      this.#blocks.set(block.key, block);
    }
  }

  /** Memory for one more block, if need be that of another chain. */
  #room(chain: readonly Block[]): Float32Array | undefined {
    if (this.#blocks.size < this.#maxBlocks) return new Float32Array(this.#blockElements);
    const [oldest] = this.#blocks.values();
    if (oldest === undefined || chain.includes(oldest)) return undefined;
    this.#blocks.delete(oldest.key);
    return oldest.kv;
  }
}

/** `before`: the block before it, or the salt where there is none. */
function keyOf(before: Block | string, prompt: readonly number[], at: number): string {
  const beginning = typeof before === 'string' ? JSON.stringify(before) : before.id;
  return `${beginning}:${prompt.slice(at, at + BLOCK_TOKENS).join()}`;
}

/**
 * Positions kept, found and evicted together. What is left over of a prompt is computed again, 4 on the average; smaller
 * blocks take longer to copy than they save.
 */
export const BLOCK_TOKENS = 8;

/** KV memory as the cache sees it; see kernels/decoder.ts. */
export interface CopyableKv {
  /** Numbers for each position. */
  readonly positionElements: number;
  save(slot: number, position: number, ...into: readonly Float32Array[]): void;
  restore(slot: number, position: number, ...from: readonly Float32Array[]): void;
}

/** Blocks whose memory is taken together: for SmolLM2-135M 12 MB. */
const SLAB_BLOCKS = 32;

interface Block {
  readonly id: number;
  readonly key: string;
  /** Fewer tokens than `BLOCK_TOKENS`: nothing is kept behind such a block. */
  readonly tokens: number;
  /** Room for a whole block. */
  readonly memory: Float32Array;
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
 * - At most `maxBytes` are kept. Memory is taken when it is first needed, and that of evicted blocks is used again.
 * - What a slot still holds of a prompt is not copied there again: the next turn of a chat mostly finds it where it was read back.
 */
export class PrefixCache {
  readonly #kv: CopyableKv;
  readonly #maxBlocks: number;
  readonly #blockElements: number;
  /** By key, the one unused for longest first. */
  readonly #blocks = new Map<string, Block>();
  /** By slot: the blocks that its memory begins with, those that were evicted since included. */
  readonly #inSlots = new Map<number, readonly Block[]>();
  /** Memory that was taken and is not yet used. */
  #slab: Float32Array = new Float32Array(0);
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
    const found = this.#found(prompt, salt).reduce((sum, { tokens }) => sum + tokens, 0);
    return Math.min(found, prompt.length - 1);
  }

  /** Fills the first `length` positions of a slot, which `restorable` has said to be there. */
  restore(prompt: readonly number[], length: number, slot: number, salt = ''): void {
    const chain = this.#found(prompt, salt).slice(0, Math.ceil(length / BLOCK_TOKENS));
    const held = this.#inSlots.get(slot) ?? [];
    const isHeld = (i: number) => held[i] === chain[i];
    for (let from = 0, to = 0; from < chain.length; from = to) {
      for (to = from + 1; to < chain.length && isHeld(to) === isHeld(from); to++);
      if (isHeld(from)) continue;
      this.#kv.restore(slot, from * BLOCK_TOKENS, ...chain.slice(from, to).map((block) => this.#kvOf(block)));
    }
    this.#inSlots.set(slot, chain);
    this.#touch(chain);
  }

  /** A prompt is about to be computed in a slot from its first token on. */
  vacate(slot: number): void {
    this.#inSlots.delete(slot);
  }

  /** The first `length` positions of a slot were copied to another. */
  moved(fromSlot: number, toSlot: number, length: number): void {
    const held = this.#inSlots.get(fromSlot) ?? [];
    this.#inSlots.set(toSlot, held.slice(0, Math.floor(length / BLOCK_TOKENS)));
  }

  /** Keeps the whole blocks among the first `length` positions of a prompt, which a slot holds; as many as fit. */
  keep(prompt: readonly number[], length: number, slot: number, salt = ''): void {
    const chain = this.#chain(prompt, salt);
    // So that room is made at the cost of other chains first.
    this.#touch(chain);
    const known = chain.length;
    const wholeBlocks = Math.floor(length / BLOCK_TOKENS);
    while (chain.length < wholeBlocks && this.#add(chain, prompt, BLOCK_TOKENS, salt));
    this.#save(chain, known, slot);
    this.#inSlots.set(slot, chain.slice(0, wholeBlocks));
    this.#touch(chain);
  }

  /** The same for a prompt that is known to go on: what is behind its last whole block is kept, too. */
  keepAll(prompt: readonly number[], slot: number, salt = ''): void {
    this.keep(prompt, prompt.length, slot, salt);
    const chain = this.#chain(prompt, salt);
    const rest = prompt.length - chain.length * BLOCK_TOKENS;
    if (rest === 0 || rest >= BLOCK_TOKENS || this.#tail(chain, prompt, salt)?.tokens === rest) return;
    if (this.#add(chain, prompt, rest, salt)) this.#save(chain, chain.length - 1, slot);
    this.#touch(chain);
  }

  /** Adds a block to the chain, to be filled. @returns False: there was no room. */
  #add(chain: Block[], prompt: readonly number[], tokens: number, salt: string): boolean {
    const memory = this.#room(chain);
    if (memory === undefined) return false;
    const key = keyBehind(chain, prompt, salt, tokens);
    const block = { id: this.#nextId++, key, tokens, memory };
    this.#blocks.set(key, block);
    chain.push(block);
    return true;
  }

  /** Fills the blocks of a chain from one of them on, together: on a device each copy is a run of its own. */
  #save(chain: readonly Block[], from: number, slot: number): void {
    if (from === chain.length) return;
    this.#kv.save(slot, from * BLOCK_TOKENS, ...chain.slice(from).map((block) => this.#kvOf(block)));
  }

  #kvOf({ memory, tokens }: Block): Float32Array {
    return memory.subarray(0, tokens * this.#kv.positionElements);
  }

  /** All that is kept of what a prompt begins with. */
  #found(prompt: readonly number[], salt: string): Block[] {
    const chain = this.#chain(prompt, salt);
    const tail = this.#tail(chain, prompt, salt);
    return tail === undefined ? chain : [...chain, tail];
  }

  /** The whole blocks that a prompt begins with. */
  #chain(prompt: readonly number[], salt: string): Block[] {
    const chain: Block[] = [];
    while ((chain.length + 1) * BLOCK_TOKENS <= prompt.length) {
      const block = this.#blocks.get(keyBehind(chain, prompt, salt));
      if (block === undefined) break;
      chain.push(block);
    }
    return chain;
  }

  /** What is kept of the block behind the whole ones that a prompt begins with. */
  #tail(chain: readonly Block[], prompt: readonly number[], salt: string): Block | undefined {
    const rest = prompt.length - chain.length * BLOCK_TOKENS;
    for (let tokens = Math.min(BLOCK_TOKENS - 1, rest); tokens > 0; tokens--) {
      const block = this.#blocks.get(keyBehind(chain, prompt, salt, tokens));
      if (block !== undefined) return block;
    }
    return undefined;
  }

  #touch(chain: readonly Block[]): void {
    for (const block of chain.toReversed()) {
      this.#blocks.delete(block.key);
      this.#blocks.set(block.key, block);
    }
  }

  /** Memory for one more block, if need be taken from another chain. */
  #room(chain: readonly Block[]): Float32Array | undefined {
    if (this.#blocks.size < this.#maxBlocks) return this.#newMemory();
    const [oldest] = this.#blocks.values();
    if (oldest === undefined || chain.includes(oldest)) return undefined;
    this.#blocks.delete(oldest.key);
    return oldest.memory;
  }

  #newMemory(): Float32Array {
    const size = this.#blockElements;
    if (this.#slab.length === 0) {
      const slabBlocks = Math.min(SLAB_BLOCKS, this.#maxBlocks - this.#blocks.size);
      this.#slab = lazyMemory(slabBlocks * size);
    }
    const memory = this.#slab.subarray(0, size);
    this.#slab = this.#slab.subarray(size);
    return memory;
  }
}

/**
 * Committed as it is touched. A buffer that can be resized does not come from the C library's allocator, which
 * clears memory that it hands out again: with a prompt of 1,000 tokens that took a tenth of the time to first token.
 */
function lazyMemory(elements: number): Float32Array {
  const sizeBytes = elements * Float32Array.BYTES_PER_ELEMENT;
  return new Float32Array(new ArrayBuffer(sizeBytes, { maxByteLength: sizeBytes }), 0, elements);
}

/** Of the block of a prompt behind a chain of whole ones: by the last of them, or by the salt where there is none. */
function keyBehind(
  chain: readonly Block[],
  prompt: readonly number[],
  salt: string,
  tokens = BLOCK_TOKENS,
): string {
  const at = chain.length * BLOCK_TOKENS;
  return `${chain.at(-1)?.id ?? JSON.stringify(salt)}:${prompt.slice(at, at + tokens).join()}`;
}

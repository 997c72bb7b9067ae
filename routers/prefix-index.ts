import { BlockLru } from './block-lru.ts';

/** Blocks of all deployments together; one costs about 50 bytes. */
const DEFAULT_MAX_BLOCKS = 1_000_000;
/** One that remembered less than was believed is believed to have so much less room. */
const SHRINK = 0.9;
const GROW = 1.002;
/** Tokens and bytes do not end at the same places: so many blocks less are no sign of a smaller memory. */
const SLACK_BLOCKS = 2;

interface Holder {
  readonly blocks: BlockLru;
  /** Blocks that its memory is believed to have room for. */
  limit: number;
}

/** Which deployment remembers the beginning of which prompt: learnt from what was sent where. */
export class PrefixIndex {
  readonly #maxBlocks: number;
  readonly #holders = new Map<string, Holder>();
  #size = 0;

  constructor(maxBlocks = DEFAULT_MAX_BLOCKS) {
    this.#maxBlocks = maxBlocks;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns Blocks from the prompt's beginning, without a gap. */
  match(holder: string, blocks: Int32Array): number {
    return this.#holders.get(holder)?.blocks.match(blocks) ?? 0;
  }

  touch(id: string, blocks: Int32Array): void {
    if (blocks.length === 0) return;
    const holder = this.#holder(id);
    this.#change(holder, () => holder.blocks.touch(blocks, holder.limit));
    while (this.#size > this.#maxBlocks) {
      const largest = this.#largest();
      this.#change(largest, () => largest.blocks.shrink(Math.floor(largest.blocks.size * SHRINK)));
    }
  }

  /** What the deployment said of a prompt of which `expected` blocks were believed to be remembered. */
  correct(id: string, expected: number, actual: number): void {
    const holder = this.#holders.get(id);
    if (holder === undefined || expected === 0) return;
    if (actual + SLACK_BLOCKS >= expected) {
      holder.limit *= GROW;
      return;
    }
    holder.limit = Math.max(1, Math.min(holder.limit, holder.blocks.size) * SHRINK);
    this.#change(holder, () => holder.blocks.shrink(Math.floor(holder.limit)));
  }

  /** It was started anew, or is gone. */
  forget(id: string): void {
    this.#size -= this.#holders.get(id)?.blocks.size ?? 0;
    this.#holders.delete(id);
  }

  #holder(id: string): Holder {
    let holder = this.#holders.get(id);
    if (holder === undefined) {
      holder = { blocks: new BlockLru(), limit: this.#maxBlocks };
      this.#holders.set(id, holder);
    }
    return holder;
  }

  #change(holder: Holder, work: () => void): void {
    const before = holder.blocks.size;
    work();
    this.#size += holder.blocks.size - before;
  }

  #largest(): Holder {
    let largest: Holder | undefined;
    for (const holder of this.#holders.values())
      if (largest === undefined || holder.blocks.size > largest.blocks.size) largest = holder;
    return largest!;
  }
}

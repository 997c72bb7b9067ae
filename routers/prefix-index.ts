import { BlockLru } from './block-lru.ts';
import { Survival } from './survival.ts';

/** Blocks of all deployments together; one costs about 60 bytes. */
const DEFAULT_MAX_BLOCKS = 1_000_000;
/** Of the largest memory, when there are too many. */
const SHRINK = 0.9;
/** Tokens and bytes do not end at the same places: so many blocks less are no sign of a smaller memory. */
const SLACK_BLOCKS = 2;

interface Holder {
  readonly blocks: BlockLru;
  readonly survival: Survival;
}

/** What a deployment is believed to remember of a prompt. */
export interface PrefixMatch {
  /** Blocks from the prompt's beginning, without a gap, that it has seen. */
  readonly blocks: number;
  /** Blocks that it has seen since the last of them. */
  readonly age: number;
  /** Share of them that is likely to be there still. */
  readonly kept: number;
}

const NONE: PrefixMatch = { blocks: 0, age: 0, kept: 1 };

/** Which deployment remembers the beginning of which prompt: learnt from what was sent where, and from what it said was cached. */
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

  match(id: string, prompt: Int32Array): PrefixMatch {
    const holder = this.#holders.get(id);
    const blocks = holder?.blocks.match(prompt) ?? 0;
    if (holder === undefined || blocks === 0) return NONE;
    const age = holder.blocks.ageOf(prompt, blocks - 1);
    return { blocks, age, kept: holder.survival.at(age) };
  }

  touch(id: string, prompt: Int32Array): void {
    if (prompt.length === 0) return;
    const holder = this.#holder(id);
    this.#change(holder, () => holder.blocks.touch(prompt));
    while (this.#size > this.#maxBlocks) {
      const largest = this.#largest();
      this.#change(largest, () => largest.blocks.shrink(Math.floor(largest.blocks.size * SHRINK)));
    }
  }

  /** What the deployment said of a prompt: how many of the blocks were there. */
  correct(id: string, { blocks, age }: PrefixMatch, actual: number): void {
    const holder = this.#holders.get(id);
    if (holder === undefined || blocks === 0) return;
    const there = actual + SLACK_BLOCKS >= blocks ? blocks : actual;
    holder.survival.observe(age, there / blocks);
    holder.blocks.age(blocks - there);
  }

  /** It was started anew, or is gone. */
  forget(id: string): void {
    this.#size -= this.#holders.get(id)?.blocks.size ?? 0;
    this.#holders.delete(id);
  }

  #holder(id: string): Holder {
    let holder = this.#holders.get(id);
    if (holder === undefined) {
      holder = { blocks: new BlockLru(), survival: new Survival() };
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

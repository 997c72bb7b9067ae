import { BLOCK_TOKENS } from '../../../src/simulation/trace.ts';

/** What a router of the plain sort remembers of one worker: blocks touched from the first to the last, oldest evicted. */
export class PrefixLru {
  readonly #capacity: number;
  readonly #blocks = new Set<number>();
  /** Of everything that was new when it came, the unhashed end of prompts included. */
  insertedTokens = 0;

  constructor(capacityBlocks: number) {
    this.#capacity = capacityBlocks;
  }

  match(blockIds: readonly number[]): number {
    let matched = 0;
    while (matched < blockIds.length && this.#blocks.has(blockIds[matched]!)) matched += 1;
    return matched;
  }

  insert(blockIds: readonly number[], promptTokens: number): void {
    this.insertedTokens += promptTokens - this.match(blockIds) * BLOCK_TOKENS;
    for (const id of blockIds) {
      this.#blocks.delete(id);
      this.#blocks.add(id);
    }
    while (this.#blocks.size > this.#capacity) {
      const [oldest] = this.#blocks;
      this.#blocks.delete(oldest!);
    }
  }
}

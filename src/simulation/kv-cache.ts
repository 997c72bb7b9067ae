import { BLOCK_TOKENS } from './trace.ts';

/**
 * KV memory of one engine, as vLLM keeps it: blocks of known prefixes are shared and counted; those that nobody uses stay
 * until their room is needed, least recently used first, a prompt's last block before its first; or any of them, by `random`.
 */
export class KvCache {
  readonly #capacityTokens: number;
  readonly #users = new Map<number, number>();
  /** Without users, in the order in which they will go. */
  readonly #idle = new Set<number>();
  /** Of running sequences, in no shared block. */
  #privateTokens = 0;

  readonly #random: (() => number) | undefined;

  constructor(capacityTokens: number, random?: () => number) {
    this.#capacityTokens = capacityTokens;
    this.#random = random;
  }

  get usage(): number {
    return (this.#users.size * BLOCK_TOKENS + this.#privateTokens) / this.#capacityTokens;
  }

  /** Full blocks from the prompt's beginning that need not be computed. */
  match(blockIds: readonly number[]): number {
    let matched = 0;
    while (matched < blockIds.length && this.#holds(blockIds[matched]!)) matched += 1;
    return matched;
  }

  /** @returns False when there is no room and nothing to evict. */
  takePrivate(tokens: number): boolean {
    while (this.#used() + tokens > this.#capacityTokens) {
      if (this.#idle.size === 0) return false;
      this.#idle.delete(this.#next());
    }
    this.#privateTokens += tokens;
    return true;
  }

  givePrivate(tokens: number): void {
    this.#privateTokens -= tokens;
  }

  /** A block that was computed in private memory becomes shared, or one that is shared gets one more user. */
  use(blockId: number): void {
    this.#idle.delete(blockId);
    this.#users.set(blockId, (this.#users.get(blockId) ?? 0) + 1);
  }

  release(blockIds: readonly number[]): void {
    for (let i = blockIds.length - 1; i >= 0; i -= 1) {
      const id = blockIds[i]!;
      const users = this.#users.get(id)! - 1;
      if (users > 0) this.#users.set(id, users);
      else {
        this.#users.delete(id);
        this.#idle.add(id);
      }
    }
  }

  /** The one that goes next; there is one. */
  #next(): number {
    let skip = this.#random === undefined ? 0 : Math.floor(this.#random() * this.#idle.size);
    for (const id of this.#idle) {
      if (skip === 0) return id;
      skip -= 1;
    }
    throw new Error('nothing is idle');
  }

  #holds(blockId: number): boolean {
    return this.#users.has(blockId) || this.#idle.has(blockId);
  }

  #used(): number {
    return (this.#users.size + this.#idle.size) * BLOCK_TOKENS + this.#privateTokens;
  }
}

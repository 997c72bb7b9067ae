import type { KnownKey } from './key-directory.ts';

export interface CachedKey extends KnownKey {
  /** Of the directory, when it was asked. */
  readonly revision: number | undefined;
  /** Monotonic. */
  readonly askedAtMs: number;
}

/** Bounded: whoever was asked about first goes first. By the whole hash: a part of one would be another key's, too. */
export class KeyCache {
  readonly #capacity: number;
  readonly #known = new Map<string, CachedKey>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(hash: string): CachedKey | undefined {
    return this.#known.get(hash);
  }

  set(hash: string, key: CachedKey): void {
    this.#known.delete(hash);
    this.#known.set(hash, key);
    if (this.#known.size <= this.#capacity) return;
    const [oldest] = this.#known.keys();
    this.#known.delete(oldest!);
  }

  delete(hash: string): void {
    this.#known.delete(hash);
  }
}

import type { KnownKey } from '../store/callers.ts';

export interface CachedKey extends KnownKey {
  /** Of the directory, when it was asked. */
  readonly revision: number;
  /** Monotonic, of the machine. */
  readonly askedAtMs: number;
}

interface Kept {
  readonly key: CachedKey;
  /** Used since it was last passed over. */
  used: boolean;
}

/**
 * Bounded: the key that was asked about first goes first, unless it has been used since (second chance), so that
 * keys in use stay, however many others come along once. By the whole hash, as a part of it could be another key's,
 * too.
 */
export class KeyCache {
  readonly #capacity: number;
  readonly #known = new Map<string, Kept>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  get(hash: string): CachedKey | undefined {
    const kept = this.#known.get(hash);
    if (kept === undefined) return undefined;
    kept.used = true;
    return kept.key;
  }

  set(hash: string, key: CachedKey): void {
    const used = this.#known.get(hash)?.used ?? false;
    this.#known.delete(hash);
    if (this.#known.size >= this.#capacity) this.#dropOne();
    this.#known.set(hash, { key, used });
  }

  delete(hash: string): void {
    this.#known.delete(hash);
  }

  clear(): void {
    this.#known.clear();
  }

  *entries(): Iterable<[hash: string, key: CachedKey]> {
    for (const [hash, { key }] of this.#known) yield [hash, key];
  }

  #dropOne(): void {
    for (const [hash, kept] of this.#known) {
      this.#known.delete(hash);
      if (!kept.used) return;
      kept.used = false;
      this.#known.set(hash, kept);
    }
  }
}

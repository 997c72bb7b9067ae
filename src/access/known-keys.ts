import type { Ended } from '../store/ended.ts';
import { type CachedKey, KeyCache } from './key-cache.ts';
import type { KeyNews } from './key-news.ts';

const NEVER = Number.POSITIVE_INFINITY;

/**
 * What is known of keys, by what was read here or is told by other processes of the machine. The directory counts its changes, and
 * news that are older than the latest known change are not taken: they may be of a key that has ended since, however long they
 * were under way.
 */
export class KnownKeys {
  readonly #keys: KeyCache;
  readonly #now: () => number;
  #revision: number | undefined;
  #learntAtMs = Number.NEGATIVE_INFINITY;
  #confirmedAtMs = Number.NEGATIVE_INFINITY;

  /** @param now Monotonic milliseconds of the machine; never earlier than it is. */
  constructor(capacity: number, now: () => number) {
    this.#keys = new KeyCache(capacity);
    this.#now = now;
  }

  /** The latest of the directory that anybody has told of. */
  get revision(): number | undefined {
    return this.#revision;
  }

  /** When the directory was last asked, and had that revision. */
  get confirmedAtMs(): number {
    return this.#confirmedAtMs;
  }

  get isEmpty(): boolean {
    return this.#keys.isEmpty;
  }

  get(hash: string): CachedKey | undefined {
    return this.#keys.get(hash);
  }

  delete(hash: string): void {
    this.#keys.delete(hash);
  }

  hear({ revision, askedAtMs, about }: KeyNews): void {
    const latest = this.#revision;
    if (latest === undefined || revision > latest) this.#learn(revision);
    else if (revision < latest) {
      if (askedAtMs <= this.#learntAtMs) return;
      // Asked later, and yet behind: the database is another one, such as a backup that was brought back.
      this.#keys.clear();
      this.#learn(revision);
    }
    this.#confirmedAtMs = Math.max(this.#confirmedAtMs, askedAtMs);
    if (about === undefined) return;
    if (about.key === undefined) this.#keys.delete(about.hash);
    else this.#keys.set(about.hash, { ...about.key, revision, askedAtMs });
  }

  /** The hashes of those that have ended. */
  endedBy({ keys, projects, organizations }: Omit<Ended, 'secrets'>): readonly string[] {
    if (keys.size + projects.size + organizations.size === 0) return [];
    return [...this.#keys.entries()]
      .filter(([, { caller }]) => {
        const { keyId, projectId, organizationId } = caller;
        return keys.has(keyId) || projects.has(projectId) || organizations.has(organizationId);
      })
      .map(([hash]) => hash);
  }

  /** The hashes of those that are taken for good beyond the end of their secret. */
  outliving(secrets: Ended['secrets']): readonly string[] {
    if (secrets.size === 0) return [];
    return [...this.#keys.entries()]
      .filter(([hash, { expiresAtMs = NEVER }]) => expiresAtMs > (secrets.get(hash) ?? NEVER))
      .map(([hash]) => hash);
  }

  /** All of it, as news for a process that begins, in the order in which they have to be told. */
  get news(): readonly KeyNews[] {
    if (this.#revision === undefined) return [];
    const keys = [...this.#keys.entries()].map(([hash, { revision, askedAtMs, ...key }]) => ({
      ...{ revision, askedAtMs },
      about: { hash, key },
    }));
    const latest = { revision: this.#revision, askedAtMs: this.#confirmedAtMs };
    return [...keys.sort((a, b) => a.revision - b.revision), latest];
  }

  #learn(revision: number): void {
    this.#revision = revision;
    this.#learntAtMs = this.#now();
  }
}

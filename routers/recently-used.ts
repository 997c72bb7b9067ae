/**
 * Remembers what belongs to the keys that were used last: of at least so many, and of at most twice as many. Those who have not been used since
 * the last time that there were enough are forgotten together, so that to use one costs a look-up and moves nothing.
 */
export class RecentlyUsed<V> {
  readonly #least: number;
  #recent = new Map<string, V>();
  #older = new Map<string, V>();

  constructor(least: number) {
    this.#least = least;
  }

  /** Is no use of it. */
  peek(key: string): V | undefined {
    return this.#recent.get(key) ?? this.#older.get(key);
  }

  /** @param make Of what is new, or has been forgotten. */
  use(key: string, make: () => V): V {
    const known = this.#recent.get(key);
    if (known !== undefined) return known;
    const value = this.#older.get(key) ?? make();
    if (this.#recent.size >= this.#least) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, value);
    return value;
  }
}

/**
 * The latest of many records, in objects that are used again: new ones that stay for a hundred requests would nearly all be promoted to
 * the old generation, which is dear to collect, and keep alive what they come after.
 */
export class Latest<T> {
  readonly #most: number;
  readonly #make: () => T;
  readonly #all: T[] = [];
  #oldest = 0;

  /** @param most How many are kept. @param make One without a meaning yet. */
  constructor(most: number, make: () => T) {
    this.#most = most;
    this.#make = make;
  }

  /** In no order. */
  get all(): readonly Readonly<T>[] {
    return this.#all;
  }

  /** The newest one, to be filled: so far it is another, if it is not new. */
  next(): T {
    if (this.#all.length < this.#most) {
      const made = this.#make();
      this.#all.push(made);
      return made;
    }
    const next = this.#all[this.#oldest]!;
    this.#oldest = (this.#oldest + 1) % this.#most;
    return next;
  }

  clear(): void {
    this.#all.length = 0;
    this.#oldest = 0;
  }
}

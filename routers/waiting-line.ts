/** What can stand in one line: it says who is next to it. */
export interface InLine<T> {
  older: T | undefined;
  newer: T | undefined;
}

/**
 * Those that wait, oldest first; any of them may leave. A set would do the same, but the tables that it leaves behind keep alive what has gone,
 * and with every request all that hangs on it.
 */
export class WaitingLine<T extends InLine<T>> implements Iterable<T> {
  #oldest: T | undefined;
  #newest: T | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get oldest(): T | undefined {
    return this.#oldest;
  }

  join(one: T): void {
    one.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = one;
    else this.#newest.newer = one;
    this.#newest = one;
    this.#length += 1;
  }

  /** @returns Whether it was in it. */
  leave(one: T): boolean {
    const { older, newer } = one;
    if (older === undefined && one !== this.#oldest) return false;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    one.older = undefined;
    one.newer = undefined;
    this.#length -= 1;
    return true;
  }

  /** The one that is being looked at may leave meanwhile. */
  *[Symbol.iterator](): Iterator<T> {
    for (let one = this.#oldest; one !== undefined; ) {
      const { newer }: { newer: T | undefined } = one;
      yield one;
      one = newer;
    }
  }
}

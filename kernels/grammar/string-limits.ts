/** Longer strings are not counted by a grammar: it takes a state, and some milliseconds of compilation, for each character. */
export const MOST_COUNTED = 16;

/**
 * How long the strings of JSON texts may be, by the property they stand in: for lengths that a grammar is too slow for. Of two
 * properties of one name in different places the smaller limit holds for both.
 */
export class StringLimits {
  readonly #limits = new Map<string | undefined, number>();
  readonly #needs = new Map<string | undefined, number>();

  get isEmpty(): boolean {
    return this.#limits.size === 0;
  }

  /** `property` undefined: it may stand anywhere. */
  limit(property: string | undefined, max: number): void {
    this.#limits.set(property, Math.min(max, this.#limits.get(property) ?? Number.POSITIVE_INFINITY));
  }

  /** That some string there has to be able to become so long. */
  need(property: string | undefined, length: number): void {
    this.#needs.set(property, Math.max(length, this.#needs.get(property) ?? 0));
  }

  /** In characters. */
  of(property: string | undefined): number {
    const anywhere = this.#limits.get(undefined) ?? Number.POSITIVE_INFINITY;
    return Math.min(anywhere, this.#limits.get(property) ?? Number.POSITIVE_INFINITY);
  }

  /** Whether a limit would cut a string that has to be longer. */
  get isContradictory(): boolean {
    const most = Math.min(...this.#limits.values());
    for (const [property, length] of this.#needs)
      if (length > (property === undefined ? most : this.of(property))) return true;
    return false;
  }
}

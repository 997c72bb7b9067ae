/** Which choices of a stream have begun, and which of those have finished. */
export class ChoiceEnds {
  readonly #wanted: number;
  /** By index, where there may be several: whether they have finished. */
  readonly #finished: Map<number, boolean> | undefined;
  #ends = 0;

  /** @param wanted How many were asked for. */
  constructor(wanted: number) {
    this.#wanted = wanted;
    this.#finished = wanted > 1 ? new Map() : undefined;
  }

  /** A piece of a choice has come. Some servers tell twice why it ends. */
  note(index: number, finishes: boolean): void {
    if (finishes) this.#ends += 1;
    this.#finished?.set(index, finishes || this.#finished.get(index) === true);
  }

  /** Servers may make fewer choices than they are asked for: only those that have begun have to finish. */
  get isMidChoice(): boolean {
    return this.#finished !== undefined && [...this.#finished.values()].includes(false);
  }

  /** None is missing. */
  get areAll(): boolean {
    return (this.#finished?.size ?? this.#ends) >= this.#wanted && !this.isMidChoice;
  }
}

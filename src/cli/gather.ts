/** Whoever does not answer in time is left out. */
const TIMEOUT_MS = 1_000;

interface Asked<T> {
  readonly answers: Map<number, T>;
  left: number;
  done(): void;
}

/** Questions to every worker, and their answers. */
export class Gather<T> {
  readonly #asked = new Map<number, Asked<T>>();
  #lastId = 0;

  /** Resolves to the answers that came, by worker. */
  async ask(workers: number, send: (id: number) => void): Promise<ReadonlyMap<number, T>> {
    const id = ++this.#lastId;
    const answers = new Map<number, T>();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#asked.set(id, { answers, left: workers, done: resolve });
    const timer = setTimeout(resolve, TIMEOUT_MS);
    send(id);
    await promise;
    clearTimeout(timer);
    this.#asked.delete(id);
    return answers;
  }

  answered(id: number, worker: number, answer: T): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    asked.answers.set(worker, answer);
    if (--asked.left === 0) asked.done();
  }
}

interface Asked<T> {
  resolve(answer: T): void;
  reject(error: Error): void;
}

/** Questions of a worker to the primary, and its answers. */
export class Questions<T> {
  readonly #asked = new Map<number, Asked<T>>();
  #lastId = 0;

  /** Rejects if there is no answer. */
  ask(send: (id: number) => void): Promise<T> {
    const id = ++this.#lastId;
    const { promise, ...asked } = Promise.withResolvers<T>();
    this.#asked.set(id, asked);
    send(id);
    return promise;
  }

  answered(id: number, answer: T): void {
    this.#asked.get(id)?.resolve(answer);
    this.#asked.delete(id);
  }

  failed(id: number): void {
    this.#asked.get(id)?.reject(new Error('The primary could not collect what all workers know.'));
    this.#asked.delete(id);
  }
}

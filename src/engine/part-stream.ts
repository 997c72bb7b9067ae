import type { Part } from '../core/part.ts';
import type { PartSource, TakePart } from '../core/part-source.ts';

/** Parts on their way to one reader. What it holds is bounded by the tokens of one request. */
export class PartStream implements PartSource, AsyncIterableIterator<Part> {
  readonly #onReturn: () => void;
  #parts: Part[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  /** `onReturn`: the reader left before the end. */
  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  push(parts: readonly Part[]): void {
    if (this.#ended) return;
    for (const part of parts) this.#parts.push(part);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Part>> {
    for (;;) {
      const value = this.#parts.shift();
      if (value !== undefined) return { value, done: false };
      if (this.#ended) return { value: undefined, done: true };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<Part>> {
    if (!this.#ended) {
      this.end();
      this.#onReturn();
    }
    this.#parts = [];
    return { value: undefined, done: true };
  }

  async pump(take: TakePart): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let isTaking = false;
    const fail = (error: unknown): void => {
      this.#wake = undefined;
      reject(error);
    };
    const goOn = (): void => {
      if (isTaking) return;
      try {
        for (let part = this.#parts.shift(); part !== undefined; part = this.#parts.shift()) {
          const taken = take(part);
          if (taken === undefined) continue;
          isTaking = true;
          taken.then(() => {
            isTaking = false;
            goOn();
          }, fail);
          return;
        }
        if (this.#ended) resolve();
      } catch (error) {
        fail(error);
      }
    };
    this.#wake = goOn;
    goOn();
    try {
      await promise;
    } catch (error) {
      await this.return();
      throw error;
    }
  }
}

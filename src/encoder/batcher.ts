/** What the batcher has to know of an input. */
export interface Batchable {
  /** Tokens, at least 1. */
  readonly length: number;
}

export interface BatchMember<T> {
  /** The request that the item belongs to. */
  readonly request: number;
  readonly item: T;
}

/** More rows than this gain nothing and only make everybody wait for the last. */
const MOST_ROWS = 256;

/**
 * Decides which inputs are computed together. Pure: it neither runs the model nor looks at a clock.
 *
 *     requests, in rotation     ┌ head ┐
 *                               │ A: 8 8 16 │ B: 8 │ C: 24 8 …        numbers: the inputs' length classes
 *     one batch                   A8 B8 C8 A8 …                       one class, one input of each request in turn
 *     rotation afterwards         (those not served) … A B C
 *
 * Invariants:
 * - The inputs of a batch have one length class, so that at most a quarter of a long row (or 3 tokens of a short one) is padding.
 * - rows × class ≤ the budget, unless a single row exceeds it.
 * - The head of the rotation is in the next batch, and whoever was served goes to its end: a request waits for at
 *   most as many batches as there were requests before it, however many inputs those have.
 * - A cancelled request's inputs are in no later batch.
 */
export class Batcher<T extends Batchable> {
  /** Insertion order is the rotation. */
  readonly #requests = new Map<number, ClassQueues<T>>();
  #items = 0;

  /** Inputs that wait. */
  get waiting(): number {
    return this.#items;
  }

  /** Requests with inputs that wait. */
  waitingRequests(): Iterable<number> {
    return this.#requests.keys();
  }

  hasWaiting(request: number): boolean {
    return this.#requests.has(request);
  }

  /** A request comes to the end of the rotation with its first input. */
  add(request: number, item: T): void {
    let queues = this.#requests.get(request);
    if (queues === undefined) {
      queues = new ClassQueues();
      this.#requests.set(request, queues);
    }
    queues.push(item);
    this.#items++;
  }

  cancel(request: number): void {
    this.#items -= this.#requests.get(request)?.size ?? 0;
    this.#requests.delete(request);
  }

  /** The next batch, taken out; empty when nothing waits. `budgetTokens`: padded tokens that it may have. */
  take(budgetTokens: number, mostRows = MOST_ROWS): BatchMember<T>[] {
    const head = this.#requests.values().next().value;
    if (head === undefined) return [];
    const lengthClass = head.fullestClass();
    const most = Math.min(mostRows, MOST_ROWS, Math.max(1, Math.floor(budgetTokens / lengthClass)));

    const batch: BatchMember<T>[] = [];
    let candidates = [...this.#requests];
    while (batch.length < most && candidates.length > 0) {
      const served: [number, ClassQueues<T>][] = [];
      for (const [request, queues] of candidates) {
        if (batch.length === most) break;
        const item = queues.shift(lengthClass);
        if (item === undefined) continue;
        batch.push({ request, item });
        served.push([request, queues]);
      }
      candidates = served;
    }
    this.#items -= batch.length;
    this.#rotate(new Set(batch.map((member) => member.request)));
    return batch;
  }

  #rotate(served: ReadonlySet<number>): void {
    for (const request of served) {
      const queues = this.#requests.get(request)!;
      this.#requests.delete(request);
      if (queues.size > 0) this.#requests.set(request, queues);
    }
  }
}

/** The length up to which inputs are padded together: steps of 4, growing to a quarter of the length. */
export function lengthClass(length: number): number {
  const step = Math.max(4, 2 ** Math.floor(Math.log2(Math.max(1, length - 1))) / 4);
  return Math.ceil(length / step) * step;
}

/** The inputs of one request, first come first served within a length class. */
class ClassQueues<T extends Batchable> {
  readonly #byClass = new Map<number, { items: T[]; next: number }>();
  size = 0;

  push(item: T): void {
    const key = lengthClass(item.length);
    const queue = this.#byClass.get(key);
    if (queue === undefined) this.#byClass.set(key, { items: [item], next: 0 });
    else queue.items.push(item);
    this.size++;
  }

  shift(key: number): T | undefined {
    const queue = this.#byClass.get(key);
    if (queue === undefined) return undefined;
    const item = queue.items[queue.next++]!;
    if (queue.next === queue.items.length) this.#byClass.delete(key);
    this.size--;
    return item;
  }

  /** The class with the most tokens. Must not be asked of an empty one. */
  fullestClass(): number {
    let best = 0;
    let most = 0;
    for (const [key, { items, next }] of this.#byClass) {
      const tokens = (items.length - next) * key;
      if (tokens > most) [best, most] = [key, tokens];
    }
    return best;
  }
}

/** The largest logits of a row, best first; of equal ones the lower id comes first. */
export interface TopTokens {
  readonly ids: Int32Array;
  readonly logits: Float32Array;
}

/** Tokens that are compared with a threshold together: most groups hold none above it. */
const GROUP = 8;

/**
 * The `count` largest of `logits`, in one pass over a heap of `count`: once the heap is full, most of a vocabulary
 * falls to a comparison. Fast for counts of some hundreds. NaN and -Infinity are never among them, so there may be fewer.
 */
export function topTokens(logits: Float32Array, count: number): TopTokens {
  const heap = new MinHeap(Math.min(count, logits.length));
  let threshold = Number.NEGATIVE_INFINITY;
  for (let start = 0; start < logits.length; start += GROUP) {
    if (!anyAbove(logits, start, threshold)) continue;
    const end = Math.min(start + GROUP, logits.length);
    for (let id = start; id < end; id++) {
      if (logits[id]! > threshold) {
        heap.push(id, logits[id]!);
        threshold = heap.threshold;
      }
    }
  }
  return heap.drain();
}

/** The id of the largest logit, the lowest of equals. -1 when there is no number above -Infinity. */
export function argmax(logits: Float32Array): number {
  let best = -1;
  let max = Number.NEGATIVE_INFINITY;
  for (let start = 0; start < logits.length; start += GROUP) {
    if (!anyAbove(logits, start, max)) continue;
    const end = Math.min(start + GROUP, logits.length);
    for (let id = start; id < end; id++) {
      if (logits[id]! > max) {
        max = logits[id]!;
        best = id;
      }
    }
  }
  return best;
}

/** Whether one of the GROUP values from `start` on is above the threshold. Past the end there is nothing above. */
function anyAbove(values: Float32Array, start: number, threshold: number): boolean {
  return (
    values[start]! > threshold ||
    values[start + 1]! > threshold ||
    values[start + 2]! > threshold ||
    values[start + 3]! > threshold ||
    values[start + 4]! > threshold ||
    values[start + 5]! > threshold ||
    values[start + 6]! > threshold ||
    values[start + 7]! > threshold
  );
}

/** The root is the one to lose first: the smallest logit, and of equal ones the highest id. */
class MinHeap {
  readonly #ids: Int32Array;
  readonly #logits: Float32Array;
  #size = 0;

  constructor(capacity: number) {
    this.#ids = new Int32Array(capacity);
    this.#logits = new Float32Array(capacity);
  }

  /** What a logit must exceed to get in. */
  get threshold(): number {
    return this.#size === this.#ids.length ? this.#logits[0]! : Number.NEGATIVE_INFINITY;
  }

  /** Adds a token; when full, in place of the root. */
  push(id: number, logit: number): void {
    const ids = this.#ids;
    const logits = this.#logits;
    if (this.#size === ids.length) {
      this.#sink(id, logit);
      return;
    }
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!loses(id, logit, ids[parent]!, logits[parent]!)) break;
      ids[at] = ids[parent]!;
      logits[at] = logits[parent]!;
      at = parent;
    }
    ids[at] = id;
    logits[at] = logit;
  }

  /** Empties the heap into sorted order. */
  drain(): TopTokens {
    const ids = new Int32Array(this.#size);
    const logits = new Float32Array(this.#size);
    for (let i = ids.length - 1; i >= 0; i--) {
      ids[i] = this.#ids[0]!;
      logits[i] = this.#logits[0]!;
      this.#size = i;
      this.#sink(this.#ids[i]!, this.#logits[i]!);
    }
    return { ids, logits };
  }

  /** Puts a token in place of the root. */
  #sink(id: number, logit: number): void {
    const ids = this.#ids;
    const logits = this.#logits;
    const size = this.#size;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      const right = child + 1;
      if (right < size && loses(ids[right]!, logits[right]!, ids[child]!, logits[child]!)) child = right;
      if (!loses(ids[child]!, logits[child]!, id, logit)) break;
      ids[at] = ids[child]!;
      logits[at] = logits[child]!;
      at = child;
    }
    ids[at] = id;
    logits[at] = logit;
  }
}

function loses(id: number, logit: number, otherId: number, otherLogit: number): boolean {
  return logit < otherLogit || (logit === otherLogit && id > otherId);
}

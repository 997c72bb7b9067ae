/** What two neighbours become; undefined: nothing. Of all neighbours those with the lowest rank are merged first. */
export type FindMerge = (
  /** Ids of tokens; −1 for a character that is none. */
  left: number,
  right: number,
  /** Both together. */
  text: string,
) => { readonly id: number; readonly rank: number } | undefined;

interface Candidate {
  readonly id: number;
  readonly rank: number;
  /** Indices of symbols. */
  readonly left: number;
  readonly right: number;
  /** Length of both together: if either has been merged since, it is another. */
  readonly length: number;
}

/**
 * Byte-pair merging: of all neighbours that may become one token those of the lowest rank do, the leftmost first, until
 * none may. The order is that of SentencePiece's BPE and of Hugging Face's tokenizers. Takes n log n for n characters.
 * `onToken` gets each token's id, or −1 for a character that is none, and its text.
 */
export function mergePairs(
  text: string,
  idOf: (character: string) => number,
  findMerge: FindMerge,
  onToken: (id: number, text: string) => void,
): void {
  // A symbol is text[starts[i] … ends[i]); one that was merged into another is empty.
  const starts: number[] = [];
  const ends: number[] = [];
  const ids: number[] = [];
  for (const character of text) {
    const start = ends.at(-1) ?? 0;
    starts.push(start);
    ends.push(start + character.length);
    ids.push(idOf(character));
  }
  const before = Int32Array.from(ids, (_, i) => i - 1);
  const after = Int32Array.from(ids, (_, i) => (i + 1 < ids.length ? i + 1 : -1));
  const lengthOf = (i: number) => ends[i]! - starts[i]!;

  const queue = new CandidateQueue();
  const consider = (left: number, right: number) => {
    if (left < 0 || right < 0) return;
    const merge = findMerge(ids[left]!, ids[right]!, text.slice(starts[left], ends[right]));
    if (merge === undefined) return;
    queue.push({ id: merge.id, rank: merge.rank, left, right, length: ends[right]! - starts[left]! });
  };
  for (let i = 1; i < ids.length; i++) consider(i - 1, i);
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { left, right } = next;
    if (lengthOf(left) === 0 || lengthOf(right) === 0) continue;
    if (lengthOf(left) + lengthOf(right) !== next.length) continue;
    ids[left] = next.id;
    ends[left] = ends[right]!;
    starts[right] = ends[right]!;
    after[left] = after[right]!;
    if (after[right]! >= 0) before[after[right]!] = left;
    consider(before[left]!, left);
    consider(left, after[left]!);
  }
  for (let i = ids.length === 0 ? -1 : 0; i >= 0; i = after[i]!)
    onToken(ids[i]!, text.slice(starts[i], ends[i]));
}

/** A binary heap. */
class CandidateQueue {
  readonly #heap: Candidate[] = [];

  push(candidate: Candidate): void {
    const heap = this.#heap;
    let at = heap.push(candidate) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!goesBefore(candidate, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = candidate;
  }

  pop(): Candidate | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && goesBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!goesBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function goesBefore(a: Candidate, b: Candidate): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.left < b.left);
}

const FIRST_CAPACITY = 256;

/**
 * The blocks of prompts that one deployment is believed to remember, least recently used ones forgotten first.
 *
 *   heads[hash] ─▶ entry ─chain▶ entry      entry 0 is the ring's anchor:
 *   anchor ─older▶ newest ─older▶ … ─older▶ oldest ─older▶ anchor
 *
 * A prompt is touched from its last block to its first. So a block is never older than those that continue it, and
 * whenever a block is there, all before it are: the length of a match is found by bisection.
 */
export class BlockLru {
  #capacity = FIRST_CAPACITY;
  #lanes = new Int32Array(2 * (FIRST_CAPACITY + 1));
  #newer = new Int32Array(FIRST_CAPACITY + 1);
  #older = new Int32Array(FIRST_CAPACITY + 1);
  #chain = new Int32Array(FIRST_CAPACITY + 1);
  /** For each entry, `#inserted` as it was when the entry was last touched. */
  #stamps = new Float64Array(FIRST_CAPACITY + 1);
  #inserted = 0;
  #heads = new Int32Array(FIRST_CAPACITY);
  /** Entries that were removed, by way of `#chain`. */
  #free = 0;
  #used = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns How many blocks of the prompt's beginning are remembered. */
  match(blocks: Int32Array): number {
    let missing = blocks.length >> 1;
    if (this.#size === 0 || missing === 0 || this.#find(blocks, 0) === 0) return 0;
    if (this.#find(blocks, missing - 1) !== 0) return missing;
    let present = 0;
    while (missing - present > 1) {
      const middle = (present + missing) >> 1;
      if (this.#find(blocks, middle) === 0) missing = middle;
      else present = middle;
    }
    return present + 1;
  }

  /** @returns How many blocks have come to be remembered since block `i`, which has to be there, was last touched. */
  ageOf(blocks: Int32Array, i: number): number {
    return this.#inserted - this.#stamps[this.#find(blocks, i)]!;
  }

  /** Blocks that were believed to be there had to be computed again: room was made for them. */
  age(blocks: number): void {
    this.#inserted += blocks;
  }

  /** Remembers a prompt. */
  touch(blocks: Int32Array): void {
    for (let i = (blocks.length >> 1) - 1; i >= 0; i -= 1) {
      const found = this.#find(blocks, i);
      if (found !== 0) {
        this.#unlink(found);
        this.#linkNewest(found);
      } else {
        this.#inserted += 1;
        this.#linkNewest(this.#insert(blocks[2 * i]!, blocks[2 * i + 1]!));
      }
    }
  }

  /** Forgets the oldest until no more than `size` are left. */
  shrink(size: number): void {
    while (this.#size > Math.max(0, size)) this.#remove(this.#newer[0]!);
  }

  #find(blocks: Int32Array, i: number): number {
    const a = blocks[2 * i]!;
    const b = blocks[2 * i + 1]!;
    const lanes = this.#lanes;
    let entry = this.#heads[a & (this.#heads.length - 1)]!;
    while (entry !== 0 && (lanes[2 * entry] !== a || lanes[2 * entry + 1] !== b)) entry = this.#chain[entry]!;
    return entry;
  }

  #insert(a: number, b: number): number {
    let entry = this.#free;
    if (entry !== 0) this.#free = this.#chain[entry]!;
    else {
      if (this.#used === this.#capacity) this.#grow();
      this.#used += 1;
      entry = this.#used;
    }
    this.#lanes[2 * entry] = a;
    this.#lanes[2 * entry + 1] = b;
    this.#hang(entry);
    this.#size += 1;
    return entry;
  }

  #remove(entry: number): void {
    this.#unlink(entry);
    const bucket = this.#lanes[2 * entry]! & (this.#heads.length - 1);
    const chain = this.#chain;
    if (this.#heads[bucket] === entry) this.#heads[bucket] = chain[entry]!;
    else {
      let before = this.#heads[bucket]!;
      while (chain[before] !== entry) before = chain[before]!;
      chain[before] = chain[entry]!;
    }
    chain[entry] = this.#free;
    this.#free = entry;
    this.#size -= 1;
  }

  #hang(entry: number): void {
    const bucket = this.#lanes[2 * entry]! & (this.#heads.length - 1);
    this.#chain[entry] = this.#heads[bucket]!;
    this.#heads[bucket] = entry;
  }

  /** Only called while every entry is in use. */
  #grow(): void {
    this.#capacity *= 2;
    this.#lanes = copied(this.#lanes, 2 * (this.#capacity + 1));
    this.#newer = copied(this.#newer, this.#capacity + 1);
    this.#older = copied(this.#older, this.#capacity + 1);
    const stamps = this.#stamps;
    this.#stamps = new Float64Array(this.#capacity + 1);
    this.#stamps.set(stamps);
    this.#chain = new Int32Array(this.#capacity + 1);
    this.#heads = new Int32Array(this.#capacity);
    for (let entry = 1; entry <= this.#used; entry += 1) this.#hang(entry);
  }

  #unlink(entry: number): void {
    const newer = this.#newer[entry]!;
    const older = this.#older[entry]!;
    this.#older[newer] = older;
    this.#newer[older] = newer;
  }

  #linkNewest(entry: number): void {
    const newest = this.#older[0]!;
    this.#older[entry] = newest;
    this.#newer[entry] = 0;
    this.#newer[newest] = entry;
    this.#older[0] = entry;
    this.#stamps[entry] = this.#inserted;
  }
}

function copied(from: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length);
  to.set(from);
  return to;
}

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK_TOKENS, type CopyableKv, PrefixCache } from './prefix-cache.ts';

/** One slot whose KV memory at a position tells all tokens up to there, as a model's does. */
class Slot implements CopyableKv {
  readonly positionElements = 1;
  restored = 0;
  /** Calls that copy, however much. */
  copies = 0;
  #kv: number[] = [];

  compute(prompt: readonly number[]): void {
    this.#kv = kvOf(prompt);
  }

  get kv(): readonly number[] {
    return this.#kv;
  }

  save(_slot: number, position: number, ...into: readonly Float32Array[]): void {
    this.copies++;
    let at = position;
    for (const piece of into) {
      piece.set(this.#kv.slice(at, at + piece.length));
      at += piece.length;
    }
  }

  restore(_slot: number, position: number, ...from: readonly Float32Array[]): void {
    this.copies++;
    let at = position;
    for (const piece of from) {
      this.restored++;
      this.#kv.splice(at, piece.length, ...piece);
      at += piece.length;
    }
  }
}

function kvOf(prompt: readonly number[]): number[] {
  let hash = 7;
  return prompt.map((token) => {
    hash = (hash * 31 + token + 1) % 16_777_213;
    return hash;
  });
}

function cacheOf(blocks: number): { slot: Slot; cache: PrefixCache } {
  const slot = new Slot();
  return { slot, cache: new PrefixCache(slot, blocks * BLOCK_TOKENS * 4) };
}

function keep({ slot, cache }: ReturnType<typeof cacheOf>, prompt: readonly number[]): void {
  slot.compute(prompt);
  cache.keep(prompt, prompt.length, 0);
}

const block = (filler: number): number[] => new Array(BLOCK_TOKENS).fill(filler);

/** A tree of beginnings, so that prompts share some and differ in others. */
const prompts = fc
  .tuple(fc.array(fc.nat(2), { maxLength: 6 }), fc.nat(BLOCK_TOKENS - 1))
  .map(([blocks, rest]) => [...blocks.flatMap(block), 99, ...new Array(rest).fill(3)]);

test('what is restored is what was computed, and memory stays bounded', () => {
  const kept = fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined });
  const uses = fc.array(fc.record({ prompt: prompts, kept }), { maxLength: 60 });
  fc.assert(
    fc.property(uses, fc.nat(12), (all, blocks) => {
      const { slot, cache } = cacheOf(blocks);
      for (const { prompt, kept } of all) {
        const length = cache.restorable(prompt);
        expect(length).toBeLessThan(prompt.length);
        cache.restore(prompt, length, 0);
        expect(slot.kv.slice(0, length)).toEqual(kvOf(prompt).slice(0, length));
        slot.compute(prompt);
        if (kept === undefined) cache.keepAll(prompt, 0);
        else cache.keep(prompt, Math.floor(kept * prompt.length), 0);
        expect(cache.sizeBytes).toBeLessThanOrEqual(blocks * BLOCK_TOKENS * 4);
      }
    }),
  );
});

test('every kept block can be found until the next one is kept', () => {
  fc.assert(
    fc.property(
      fc.array(prompts, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 12 }),
      (all, n) => {
        const known = cacheOf(n);
        for (const prompt of all) {
          keep(known, prompt);
          const reachable = new Set<string>();
          for (const other of all) {
            const found = Math.floor((known.cache.restorable([...other, 0]) + 1) / BLOCK_TOKENS);
            for (let end = 1; end <= found; end++) reachable.add(other.slice(0, end * BLOCK_TOKENS).join());
          }
          expect(reachable.size * BLOCK_TOKENS * 4).toBe(known.cache.sizeBytes);
        }
      },
    ),
  );
});

test('only whole blocks are kept, and the last token is left to be computed', () => {
  const known = cacheOf(8);
  keep(known, [...block(1), ...block(2), 5]);
  expect(known.cache.restorable([...block(1), ...block(2), 5, 6])).toBe(2 * BLOCK_TOKENS);
  expect(known.cache.restorable([...block(1), ...block(2)])).toBe(2 * BLOCK_TOKENS - 1);
  expect(known.cache.restorable([...block(1), ...block(3)])).toBe(BLOCK_TOKENS);
  expect(known.cache.restorable([...block(2), 5])).toBe(0);
  expect(known.cache.restorable([1])).toBe(0);
});

test('of a prompt that goes on all is kept, and more of it in place of its end', () => {
  const { slot, cache } = cacheOf(8);
  const prompt = [...block(1), ...block(2), 5, 6, 7];
  slot.compute(prompt);
  cache.keepAll(prompt, 0);
  expect(cache.restorable([...prompt, 8])).toBe(prompt.length);
  expect(cache.restorable(prompt)).toBe(prompt.length - 1);
  expect(cache.restorable([...block(1), ...block(2), 5, 6, 9])).toBe(2 * BLOCK_TOKENS);
  cache.keepAll(prompt, 0);
  expect(cache.sizeBytes).toBe(3 * BLOCK_TOKENS * 4);
  const longer = [...prompt, 8, 9, 10, 11, 12, 13];
  cache.vacate(0);
  cache.restore(longer, prompt.length, 0);
  expect(slot.kv.slice(0, prompt.length)).toEqual(kvOf(prompt));
  slot.compute(longer);
  cache.keep(longer, longer.length, 0);
  expect(cache.restorable([...longer, 0])).toBe(3 * BLOCK_TOKENS);
});

test('what was kept under one salt is not found under another', () => {
  const { slot, cache } = cacheOf(8);
  const prompt = [...block(1), 5];
  slot.compute(prompt);
  cache.keep(prompt, prompt.length, 0, 'a');
  expect(cache.restorable(prompt, 'a')).toBe(BLOCK_TOKENS);
  for (const other of ['', 'b', '"a"', '1']) expect(cache.restorable(prompt, other)).toBe(0);
});

test('the prompt unused for longest goes first, from its end', () => {
  const known = cacheOf(4);
  keep(known, [...block(1), ...block(2)]);
  keep(known, [...block(3), ...block(4)]);
  known.cache.restore([...block(1), ...block(2), 0], 2 * BLOCK_TOKENS, 0);
  keep(known, block(5));
  expect(known.cache.restorable([...block(1), ...block(2), 0])).toBe(2 * BLOCK_TOKENS);
  expect(known.cache.restorable([...block(3), ...block(4), 0])).toBe(BLOCK_TOKENS);
});

test('of a prompt too long for the memory the beginning is kept', () => {
  const known = cacheOf(2);
  keep(known, [...block(1), ...block(2), ...block(3)]);
  expect(known.cache.restorable([...block(1), ...block(2), ...block(3), 0])).toBe(2 * BLOCK_TOKENS);
});

test('what a slot still holds is not copied there again', () => {
  const { slot, cache } = cacheOf(8);
  const prompt = [...block(1), ...block(2), 5];
  keep({ slot, cache }, prompt);
  cache.restore([...prompt, 6], 2 * BLOCK_TOKENS, 0);
  expect(slot.restored).toBe(0);
  cache.moved(0, 1, BLOCK_TOKENS + 1);
  cache.restore(prompt, 2 * BLOCK_TOKENS, 1);
  expect(slot.restored).toBe(1);
  cache.vacate(0);
  cache.restore(prompt, 2 * BLOCK_TOKENS, 0);
  expect(slot.restored).toBe(3);
});

test('blocks are copied together, except over what a slot still holds', () => {
  const { slot, cache } = cacheOf(8);
  const prompt = [...block(1), ...block(2), ...block(3), ...block(4), 5, 6];
  slot.compute(prompt);
  cache.keepAll(prompt, 0);
  expect(slot.copies).toBe(2);
  cache.restore([...prompt, 7], 4 * BLOCK_TOKENS + 2, 1);
  expect(slot.copies).toBe(3);
  // The third block of what is in the slot is another prompt's.
  cache.moved(0, 2, 2 * BLOCK_TOKENS);
  cache.restore([...prompt, 7], 4 * BLOCK_TOKENS, 2);
  expect([slot.copies, slot.restored]).toEqual([4, 5 + 2]);
});

test('what came into a slot since is not taken for what it held', () => {
  const { slot, cache } = cacheOf(1);
  keep({ slot, cache }, block(1));
  // Takes the memory of the first.
  keep({ slot, cache }, block(2));
  keep({ slot, cache }, block(1));
  slot.compute(block(3));
  cache.vacate(0);
  cache.restore([...block(1), 0], BLOCK_TOKENS, 0);
  expect(slot.kv).toEqual(kvOf(block(1)));
});

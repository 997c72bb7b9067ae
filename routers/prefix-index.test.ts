import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { BlockLru } from './block-lru.ts';
import { PrefixIndex } from './prefix-index.ts';
import { BLOCK_BYTES, hashPrompt, MAX_BLOCKS } from './prompt-hash.ts';
import { Survival } from './survival.ts';

/** Conversations over few words share beginnings of all lengths. */
const prompt = fc
  .array(fc.constantFrom('a', 'b'), { maxLength: 8 })
  .map((words) => hashPrompt('model', words.map((word) => word.repeat(BLOCK_BYTES)).join('')));

describe('prompt hashes', () => {
  it('are shared exactly as far as the prompts are', () => {
    const text = 'x'.repeat(3 * BLOCK_BYTES);
    const long = hashPrompt('model', `${text}${'y'.repeat(BLOCK_BYTES)}`);
    expect([...long.subarray(0, 6)]).toEqual([...hashPrompt('model', text)]);
    expect(long).toHaveLength(8);
    const other = hashPrompt('model', `z${text}`);
    for (let i = 0; i < other.length; i += 1) expect(other[i]).not.toBe(long[i]);
  });

  it('are kept apart by the salt', () => {
    const text = 'x'.repeat(BLOCK_BYTES);
    expect([...hashPrompt('tenant-a', text)]).not.toEqual([...hashPrompt('tenant-b', text)]);
  });

  it('leave out an incomplete last block, and what comes after the most blocks', () => {
    expect(hashPrompt('model', 'x'.repeat(BLOCK_BYTES - 1))).toHaveLength(0);
    expect(hashPrompt('model', 'x'.repeat(BLOCK_BYTES * (MAX_BLOCKS + 10)))).toHaveLength(2 * MAX_BLOCKS);
  });

  it('are the same for a text and its bytes', () => {
    const text = '前门'.repeat(1_000);
    expect([...hashPrompt('m', new TextEncoder().encode(text))]).toEqual([...hashPrompt('m', text)]);
  });
});

/** The plainest possible memory: a list, newest first. */
class Model {
  keys: string[] = [];

  touch(blocks: Int32Array, limit: number): void {
    for (const key of keysOf(blocks).reverse()) {
      this.keys = [key, ...this.keys.filter((other) => other !== key)].slice(0, limit);
    }
  }

  match(blocks: Int32Array): number {
    const keys = keysOf(blocks);
    const missing = keys.findIndex((key) => !this.keys.includes(key));
    return missing < 0 ? keys.length : missing;
  }
}

function keysOf(blocks: Int32Array): string[] {
  return Array.from({ length: blocks.length / 2 }, (_, i) => `${blocks[2 * i]}/${blocks[2 * i + 1]}`);
}

describe('block memory', () => {
  it('remembers, forgets and matches like a list that is searched', () => {
    fc.assert(
      fc.property(fc.array(prompt, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (prompts, limit) => {
        const lru = new BlockLru();
        const model = new Model();
        for (const blocks of prompts) {
          expect(lru.match(blocks)).toBe(model.match(blocks));
          lru.touch(blocks);
          lru.shrink(limit);
          model.touch(blocks, limit);
          expect(lru.size).toBe(model.keys.length);
        }
      }),
    );
  });

  it('loses the end of a prompt before its beginning', () => {
    const lru = new BlockLru();
    const blocks = hashPrompt('model', 'x'.repeat(10 * BLOCK_BYTES));
    lru.touch(blocks);
    lru.shrink(3);
    expect(lru.match(blocks)).toBe(3);
  });

  it('goes on after growing many times', () => {
    const lru = new BlockLru();
    for (let i = 0; i < 5_000; i += 1) {
      lru.touch(Int32Array.of(i, ~i));
      lru.shrink(4_000);
    }
    expect(lru.size).toBe(4_000);
    expect(lru.match(Int32Array.of(4_999, ~4_999))).toBe(1);
    expect(lru.match(Int32Array.of(999, ~999))).toBe(0);
  });
});

describe('prefix index', () => {
  it('holds no more than it may, over all deployments', () => {
    const index = new PrefixIndex(1_000);
    for (let i = 0; i < 300; i += 1)
      index.touch(`d${i % 7}`, hashPrompt(`${i}`, 'x'.repeat(20 * BLOCK_BYTES)));
    expect(index.size).toBeLessThanOrEqual(1_000);
    expect(index.size).toBeGreaterThan(500);
    for (let i = 0; i < 7; i += 1) index.forget(`d${i}`);
    expect(index.size).toBe(0);
  });

  const ten = (i: number) => hashPrompt(`${i}`, 'x'.repeat(10 * BLOCK_BYTES));

  it('believes a deployment that remembers less than was thought, of what is as old', () => {
    const index = new PrefixIndex();
    for (let i = 0; i < 100; i += 1) index.touch('d', ten(i));
    expect(index.match('d', ten(0))).toMatchObject({ blocks: 10, kept: 1 });
    for (let i = 0; i < 40; i += 1) index.correct('d', index.match('d', ten(i % 8)), 0);
    expect(index.match('d', ten(0)).kept).toBeLessThan(0.1);
    expect(index.match('d', ten(99)).kept).toBe(1);
  });

  it('expects something of a memory that loses one block or another', () => {
    const index = new PrefixIndex();
    for (let i = 0; i < 100; i += 1) index.touch('d', ten(i));
    for (let i = 0; i < 60; i += 1)
      index.correct('d', index.match('d', ten(40 + (i % 4))), i % 2 === 0 ? 10 : 0);
    const { kept } = index.match('d', ten(41));
    expect(kept).toBeGreaterThan(0.3);
    expect(kept).toBeLessThan(0.7);
  });

  it('takes what had to be computed anew for room that was made', () => {
    const index = new PrefixIndex();
    for (let i = 0; i < 3; i += 1) index.touch('d', ten(i));
    const { age } = index.match('d', ten(2));
    index.correct('d', index.match('d', ten(0)), 3);
    expect(index.match('d', ten(2)).age).toBe(age + 7);
  });

  it('forgets what a restarted deployment has forgotten, and only that', () => {
    const index = new PrefixIndex();
    const blocks = hashPrompt('model', 'x'.repeat(4 * BLOCK_BYTES));
    index.touch('a', blocks);
    index.touch('b', blocks);
    index.forget('a');
    expect(index.match('a', blocks).blocks).toBe(0);
    expect(index.match('b', blocks).blocks).toBe(4);
  });
});

test('what is kept is learnt by age, and believed to be all before', () => {
  const survival = new Survival();
  expect(survival.at(1e9)).toBe(1);
  for (let i = 0; i < 100; i += 1) {
    survival.observe(1_000, 0);
    survival.observe(100, 1);
  }
  expect(survival.at(1_000)).toBeLessThan(0.01);
  expect(survival.at(100)).toBe(1);
});

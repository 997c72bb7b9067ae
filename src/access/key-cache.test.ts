import { describe, expect, it } from 'vitest';
import { type CachedKey, KeyCache } from './key-cache.ts';

const key = (askedAtMs: number) => ({ askedAtMs }) as CachedKey;

describe('the cache of keys', () => {
  it('keeps those in use, however many others come along once', () => {
    const cache = new KeyCache(10);
    for (const busy of ['a', 'b', 'c']) cache.set(busy, key(0));
    for (let i = 0; i < 1_000; i += 1) {
      cache.set(`once-${i}`, key(i));
      for (const busy of ['a', 'b', 'c']) expect(cache.get(busy)).toBeDefined();
    }
    expect(cache.get('once-0')).toBeUndefined();
    expect(cache.get('once-999')).toBeDefined();
  });

  it('lets one go for each that comes, the first first, also where all are in use', () => {
    const cache = new KeyCache(3);
    for (const one of ['a', 'b', 'c']) {
      cache.set(one, key(0));
      cache.get(one);
    }
    cache.set('d', key(0));
    expect(['b', 'c', 'd', 'a'].map((one) => cache.get(one) !== undefined)).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it('lets go who was in use and is not any more', () => {
    const cache = new KeyCache(2);
    cache.set('was', key(0));
    cache.get('was');
    for (let i = 0; i < 4; i += 1) cache.set(`once-${i}`, key(0));
    expect(cache.get('was')).toBeUndefined();
  });

  it('has what was set last, and nothing of what was deleted', () => {
    const cache = new KeyCache(2);
    cache.set('a', key(1));
    cache.set('a', key(2));
    expect(cache.get('a')?.askedAtMs).toBe(2);
    cache.delete('a');
    expect(cache.get('a')).toBeUndefined();
  });
});

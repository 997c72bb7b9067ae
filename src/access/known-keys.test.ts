import { beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../core/caller.ts';
import type { KeyNews } from './key-news.ts';
import { KnownKeys } from './known-keys.ts';

const key = { caller: { keyId: 'k' } as Caller };
const found = (revision: number, askedAtMs: number, hash = 'a'): KeyNews => ({
  ...{ revision, askedAtMs },
  about: { hash, key },
});
const gone = (revision: number, askedAtMs: number): KeyNews => ({
  ...{ revision, askedAtMs },
  about: { hash: 'a' },
});

let nowMs: number;
let keys: KnownKeys;

beforeEach(() => {
  nowMs = 0;
  keys = new KnownKeys(10, () => nowMs);
});

describe('what is known of keys', () => {
  it('is not what was read before the latest change', () => {
    keys.hear({ revision: 6, askedAtMs: 0 });
    nowMs = 10;
    keys.hear(found(5, 0));
    expect(keys.get('a')).toBeUndefined();
    keys.hear(found(6, 0));
    expect(keys.get('a')).toMatchObject({ revision: 6 });
  });

  it('forgets a key that has ended, however late that is told', () => {
    keys.hear(found(5, 0));
    keys.hear({ revision: 7, askedAtMs: 1 });
    nowMs = 10;
    keys.hear(gone(6, 1));
    expect(keys.get('a')).toBeUndefined();
  });

  it('is forgotten where the database was replaced by one that is behind', () => {
    nowMs = 10;
    keys.hear(found(50, 5));
    keys.hear({ revision: 40, askedAtMs: 10 });
    expect(keys).toMatchObject({ revision: 50 });
    keys.hear({ revision: 40, askedAtMs: 11 });
    expect(keys).toMatchObject({ revision: 40 });
    expect(keys.get('a')).toBeUndefined();
  });

  it('is the same for one that is told all of it', () => {
    keys.hear(found(5, 1, 'old'));
    keys.hear(found(6, 2, 'new'));
    keys.hear(found(6, 3, 'old but asked about again'));
    keys.hear({ revision: 6, askedAtMs: 9 });
    const other = new KnownKeys(10, () => 100);
    for (const news of keys.news) other.hear(news);
    for (const hash of ['old', 'new', 'old but asked about again'])
      expect(other.get(hash)).toEqual(keys.get(hash));
    expect(other).toMatchObject({ revision: 6, confirmedAtMs: 9 });
  });

  it('is nothing to tell as long as nothing was read', () => {
    expect(keys.news).toEqual([]);
  });
});

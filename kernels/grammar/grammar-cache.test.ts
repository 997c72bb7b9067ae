import { afterEach, expect, test } from 'vitest';
import { BYTE_VOCABULARY } from '../../test/byte-vocabulary.ts';
import { GrammarCache } from './grammar-cache.ts';
import type { TrialLimits } from './grammar-trials.ts';

const caches: GrammarCache[] = [];
afterEach(async () => {
  for (const cache of caches.splice(0)) await cache.close();
});

function newCache(limits: Partial<TrialLimits> = {}): GrammarCache {
  const cache = new GrammarCache(BYTE_VOCABULARY, limits);
  caches.push(cache);
  return cache;
}

/** Takes minutes to compile. */
const ENDLESS = `root ::= ${'([^x]{1,900} "y" | [^y]{1,900} "x" | '.repeat(40)} "z" ${'){1,900}'.repeat(40)}`;

test('a grammar is compiled once, and the same for all who ask', async () => {
  const cache = newCache();
  const [one, other] = await Promise.all([cache.get('root ::= "a"'), cache.get('root ::= "a"')]);
  expect(one).toBe(other);
  expect(await cache.get('root ::= "a"')).toBe(one);
});

test('what the library aborts on is refused, with its reason, and the next grammar compiles', async () => {
  const cache = newCache();
  const refused = cache.get('root ::= nothing');
  const after = cache.get('root ::= "a"');
  await expect(refused).rejects.toMatchObject({
    name: 'GrammarError',
    message: expect.stringContaining('"nothing" is not defined'),
  });
  expect((await after).matcher().allows(0x61)).toBe(true);
  await expect(cache.get('root ::= nothing')).rejects.toThrow('not defined');
});

test('what took too long is refused without another try for a while, and no longer', async () => {
  for (const [forgetMs, isSame] of [
    [60_000, true],
    [0, false],
  ] as const) {
    const cache = newCache({ compileMs: 50, forgetMs });
    const refusal = () => cache.get(ENDLESS).catch((error: unknown) => error);
    const first = await refusal();
    expect(first).toMatchObject({ name: 'GrammarError', message: expect.stringContaining('too long') });
    expect((await refusal()) === first).toBe(isSame);
  }
});

test('what takes too long is given up, and the next grammar compiles', async () => {
  const cache = newCache({ compileMs: 300 });
  await expect(cache.get(ENDLESS)).rejects.toMatchObject({
    name: 'GrammarError',
    message: expect.stringContaining('too long'),
  });
  await cache.get('root ::= "a"');
});

test('a grammar that nobody could try is not refused for good', async () => {
  const cache = new GrammarCache({ ...BYTE_VOCABULARY, tokens: undefined as never });
  caches.push(cache);
  for (let i = 0; i < 2; i++)
    await expect(cache.get('root ::= "a"')).rejects.toMatchObject({ name: 'TrialsBusyError' });
});

test('a grammar without any text is refused', async () => {
  await expect(newCache().get('root ::= root "a"')).rejects.toMatchObject({ name: 'GrammarError' });
});

test('so many may wait and no more', async () => {
  const cache = newCache({ queue: 2 });
  const texts = ['a', 'b', 'c', 'd'].map((letter) => cache.get(`root ::= "${letter}"`));
  const results = await Promise.allSettled(texts);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
  expect(results[3]).toMatchObject({ reason: { name: 'TrialsBusyError' } });
});

test('the ones used least recently are forgotten, and still usable by whoever has them', async () => {
  const cache = newCache();
  const first = await cache.get('root ::= "first"');
  for (let i = 0; i < 64; i++) await cache.get(`root ::= "${i}"`);
  expect(await cache.get('root ::= "first"')).not.toBe(first);
  expect(first.matcher().allows(0x66)).toBe(true);
});

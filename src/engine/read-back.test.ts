import { expect, test } from 'vitest';
import { FakeDecoder } from '../../test/engine/fake-decoder.ts';
import { PrefixCache } from './prefix-cache.ts';
import { ReadBack } from './read-back.ts';

const tokens = (length: number, first = 0): number[] => Array.from({ length }, (_, i) => first + i);

/** With a prompt of 40 tokens computed, and kept where there is room. */
function answered(roomTokens: number) {
  const decoder = new FakeDecoder({ vocabSize: 1_000, slots: 2, next: () => 0 });
  const cache = new PrefixCache(decoder, roomTokens * 4);
  const prompt = tokens(40);
  decoder.prefill(1, prompt, 0, false);
  cache.keep(prompt, prompt.length, 1);
  decoder.prefillSizes.length = 0;
  return { decoder, cache, prompt, readBack: new ReadBack(decoder, cache, 0) };
}

function run(readBack: ReadBack): number[] {
  const steps: number[] = [];
  for (let computed = readBack.step(); computed > 0; computed = readBack.step()) steps.push(computed);
  return steps;
}

test('a reply is computed by chunks, up to its last token, and found by the next turn', () => {
  const { decoder, cache, prompt, readBack } = answered(320);
  const output = tokens(70, 500);
  readBack.add(prompt, output);
  const sizes = [8, 8, 8, 8, 8, 8, 8, 8, 6];
  expect(run(readBack)).toEqual(sizes);
  expect(decoder.prefillSizes).toEqual(sizes);
  expect(cache.restorable([...prompt, ...output, 7])).toBe(110);
});

test('what others computed meanwhile is not computed again, but for the end that they went beyond', () => {
  const { cache, decoder, prompt, readBack } = answered(320);
  const reply = [...prompt, ...tokens(70, 500)];
  readBack.add(prompt, reply.slice(40));
  expect(readBack.step()).toBe(8);
  decoder.prefill(0, reply, 0, false);
  cache.keep(reply, reply.length, 0);
  expect(run(readBack)).toEqual([6]);
});

test.each([
  ['the cache is off', 0],
  ['there is no room beside the prompt', 40],
])('nothing is computed again and again when %s', (_name, roomTokens) => {
  const { prompt, readBack } = answered(roomTokens);
  readBack.add(prompt, tokens(70, 500));
  expect(run(readBack).length).toBeLessThan(2);
  expect(readBack.step()).toBe(0);
});

test('a reply whose prompt has been evicted is left alone', () => {
  const { cache, decoder, prompt, readBack } = answered(64);
  const other = tokens(64, 300);
  decoder.prefill(1, other, 0, false);
  cache.keep(other, other.length, 1);
  readBack.add(prompt, tokens(70, 500));
  expect(run(readBack)).toEqual([]);
  expect(cache.restorable([...other, 1])).toBe(64);
});

test('old replies are forgotten', () => {
  const { prompt, readBack } = answered(6_400);
  for (let i = 0; i < 70; i++) readBack.add(prompt, tokens(8, 100 + i));
  expect(run(readBack)).toHaveLength(64);
});

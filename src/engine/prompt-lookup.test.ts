import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LONGEST_MATCH, PromptLookup } from './prompt-lookup.ts';

function lookup(...texts: readonly string[]): PromptLookup {
  const made = new PromptLookup();
  for (const character of texts.join('')) made.push(character.charCodeAt(0));
  return made;
}

function draftOf(made: PromptLookup, count: number): string | undefined {
  const draft = made.draft(count);
  return draft && String.fromCharCode(...draft.tokens);
}

describe('a draft', () => {
  test('is what followed where the last tokens were seen before', () => {
    const made = lookup('the quick brown fox; the qui');
    expect(draftOf(made, 4)).toBe('ck b');
    expect(made.draft(4)?.matched).toBe(7);
  });

  test('follows the longest match, not the latest', () => {
    expect(draftOf(lookup('xxabcdef1 bcdef2 xxabcdef'), 1)).toBe('1');
  });

  test('follows the latest of equal matches', () => {
    expect(draftOf(lookup('-abc1-abc2-abc'), 1)).toBe('2');
  });

  test('repeats itself where the text does', () => {
    expect(draftOf(lookup('abcabcab'), 7)).toBe('cabcabc');
    expect(draftOf(lookup('zaaaaa'), 5)).toBe('aaaaa');
  });

  test('needs three tokens seen before', () => {
    expect(draftOf(lookup('xab1yab'), 2)).toBeUndefined();
    expect(draftOf(lookup('xab1xab'), 2)).toBe('1x');
    for (const text of ['', 'a', 'ab', 'abc', 'aaa']) expect(draftOf(lookup(text), 2), text).toBeUndefined();
  });

  test('is the same whether the text came at once or token by token, and always what followed a real match', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2), { minLength: 1, maxLength: 120 }), (tokens) => {
        const made = new PromptLookup();
        for (const [last, token] of tokens.entries()) {
          made.push(token);
          const draft = made.draft(3);
          if (draft === undefined) continue;
          const { matched } = draft;
          expect(matched).toBeGreaterThanOrEqual(3);
          expect(matched).toBeLessThanOrEqual(LONGEST_MATCH);
          const extended = [...tokens.slice(0, last + 1), ...draft.tokens];
          const places = Array.from({ length: last }, (_, place) => place).filter((place) =>
            [...Array(matched).keys()].every((i) => extended[place - i] === extended[last - i]),
          );
          expect(places.some((place) => draft.tokens.every((t, i) => t === extended[place + 1 + i]))).toBe(
            true,
          );
        }
      }),
    );
  });
});

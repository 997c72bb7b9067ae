import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TINY, tinyTokenizer } from '../../test/engine/tiny-vocabulary.ts';
import { PRE_TOKENIZER_NAMES } from './pre-tokenizer.ts';
import { TokenizerError } from './tokenizer-description.ts';

const tokenizer = tinyTokenizer();

test('any text survives encoding and decoding', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(tokenizer.decode(tokenizer.encode(text, { control: false }))).toBe(text);
    }),
  );
});

test('half a surrogate pair becomes U+FFFD instead of failing', () => {
  expect(tokenizer.decode(tokenizer.encode('a\uD800b', { control: false }))).toBe('a\uFFFDb');
});

test('merges apply in their order', () => {
  expect(tokenizer.encode('hello wor', { control: false })).toEqual([259, 260, 261]);
});

describe('control tokens', () => {
  test('come from text only where that is asked for', () => {
    expect(tokenizer.encode('<|im_end|>', { control: true })).toEqual([TINY.imEnd]);
    expect(tokenizer.encode('<|im_end|>', { control: false })).toEqual([...Buffer.from('<|im_end|>')]);
  });

  test('are not in the reply, but have a name', () => {
    expect(tokenizer.textBytes(TINY.imEnd)).toHaveLength(0);
    expect(Buffer.from(tokenizer.tokenBytes(TINY.imEnd)).toString()).toBe('<|im_end|>');
  });

  test('never come out of merging, whatever the text', () => {
    const pieces = fc.constantFrom('<|im_end|>', '<|', 'im', '_end', '|>', '<|im_start|>', 'x', ' ');
    fc.assert(
      fc.property(fc.array(pieces), (texts) => {
        const ids = tokenizer.encode(texts.join(''), { control: false });
        expect(ids.filter((id) => [TINY.imEnd, TINY.imStart, TINY.endOfText].includes(id as never))).toEqual(
          [],
        );
      }),
    );
  });
});

test('user-defined tokens are recognised everywhere and are text', () => {
  expect(tokenizer.encode('a<think>', { control: false })).toEqual([0x61, TINY.think]);
  expect(tokenizer.decode([TINY.think])).toBe('<think>');
});

test('a reply ends at the end tokens the file does not name, too', () => {
  expect([...tokenizer.endIds].sort()).toEqual([TINY.endOfText, TINY.imEnd].sort());
});

test('a token standing for a byte that is no character by itself has its bytes', () => {
  expect([...tokenizer.textBytes(0xf0)]).toEqual([0xf0]);
});

test('the lower bound never exceeds the number of tokens', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(tokenizer.fewestTokens(text)).toBeLessThanOrEqual(
        tokenizer.encode(text, { control: false }).length,
      );
    }),
  );
});

describe('what cannot be right is refused by name', () => {
  test.each([
    [{ 'tokenizer.ggml.model': 't5' }, '"t5"'],
    [{ 'tokenizer.ggml.model': 'llama' }, 'tokenizer.ggml.scores'],
    [{ 'tokenizer.ggml.pre': 'klingon' }, '"klingon"'],
    [{ 'tokenizer.ggml.pre': 'toString' }, '"toString"'],
    [{ 'tokenizer.ggml.model': undefined }, 'has no tokenizer.ggml.model'],
    [{ 'tokenizer.ggml.merges': undefined }, 'tokenizer.ggml.merges'],
    [{ 'tokenizer.ggml.tokens': [1, 2] }, 'tokenizer.ggml.tokens'],
  ])('%o', (changes, named) => {
    expect(() => tinyTokenizer(changes)).toThrow(TokenizerError);
    expect(() => tinyTokenizer(changes)).toThrow(named);
  });
});

test.each([...PRE_TOKENIZER_NAMES, undefined])('pre-tokenizer %s works', (pre) => {
  const other = tinyTokenizer({ 'tokenizer.ggml.pre': pre });
  const text = "It's 1234 o'clock,\r\n\n  hello wor\t你好 🎉 //\nHelloWORLD's";
  expect(other.decode(other.encode(text, { control: false }))).toBe(text);
});

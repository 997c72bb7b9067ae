import { describe, expect, it } from 'vitest';
import { TINY_TOKENIZER, WORDS } from '../../test/encoder/tiny-encoder.ts';
import { EncoderTokenizer } from './encoder-tokenizer.ts';

const tokenizer = new EncoderTokenizer(TINY_TOKENIZER, {});
const words = (ids: ArrayLike<number>) => Array.from(ids, (id) => WORDS[id]).join(' ');

describe('the tokenizer of an encoder', () => {
  it('puts the special tokens around a text and ignores the padding and truncation of tokenizer.json', () => {
    const { row, length } = tokenizer.encode('good cat bad dog fine', 16);
    expect(words(row.ids)).toBe('[CLS] good cat bad dog fine [SEP]');
    expect(length).toBe(7);
    expect(row.typeIds).toBeUndefined();
  });

  it.each([5_000_000_000, -1, 1.5])('refuses the id %s, and names its token', (id) => {
    const { model } = TINY_TOKENIZER;
    const vocab = { ...model.vocab, good: id };
    const make = () => new EncoderTokenizer({ ...TINY_TOKENIZER, model: { ...model, vocab } }, {});
    expect(make).toThrow(`it gives "good" the id ${id}`);
  });

  it('cuts before the special tokens come, and tells how long the text was', () => {
    const { row, length } = tokenizer.encode('good cat bad dog fine', 5);
    expect(words(row.ids)).toBe('[CLS] good cat bad [SEP]');
    expect(length).toBe(7);
  });

  it('marks the segments of a pair', () => {
    const row = tokenizer.encodePair(tokenizer.encodeQuery('cat', 16), 'good dog', { maxTokens: 16 });
    expect(words(row.ids)).toBe('[CLS] cat [SEP] good dog [SEP]');
    expect(row.typeIds).toEqual([0, 0, 0, 1, 1, 1]);
  });

  it('cuts the document of a pair, and the query only to half', () => {
    const long = 'good bad '.repeat(20);
    const query = tokenizer.encodeQuery(long, 11);
    expect(words(query)).toBe('good bad good bad');
    const row = tokenizer.encodePair(query, long, { maxTokens: 11 });
    expect(words(row.ids)).toBe('[CLS] good bad good bad [SEP] good bad good bad [SEP]');
    const short = tokenizer.encodeQuery('cat', 11);
    const beside = (documentTokens?: number) =>
      words(tokenizer.encodePair(short, long, { maxTokens: 11, documentTokens }).ids);
    expect(beside()).toBe('[CLS] cat [SEP] good bad good bad good bad good [SEP]');
    expect(beside(100)).toBe(beside());
    expect(beside(2)).toBe('[CLS] cat [SEP] good bad [SEP]');
  });

  it('takes a text of a megabyte in little time and calls it too long', () => {
    const { row, length } = tokenizer.encode('cat '.repeat(250_000), 16);
    expect(row.ids.length).toBe(16);
    expect(length).toBeGreaterThan(16);
  });

  it('takes text without a token, and text that is not well-formed', () => {
    expect(words(tokenizer.encode('   ', 16).row.ids)).toBe('[CLS] [SEP]');
    expect(words(tokenizer.encode('cat \ud800 dog', 16).row.ids)).toMatch(/^\[CLS\] cat.* dog \[SEP\]$/);
  });

  it('knows the size of its vocabulary', () => {
    expect(tokenizer.vocabularySize).toBe(WORDS.length);
  });
});

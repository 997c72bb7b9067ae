import { describe, expect, test } from 'vitest';
import { TINY, tinyMetadata, tinyTokenizer } from '../../test/engine/tiny-vocabulary.ts';
import { type HubTokenizerFiles, hubTokenizer } from './hub-tokenizer.ts';
import { Tokenizer } from './tokenizer.ts';
import { TokenizerError } from './tokenizer-description.ts';

// biome-ignore lint/suspicious/noExplicitAny: what tests change goes deep, and is theirs to know
type Json = any;

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };

/** The tokenizer of tinyMetadata as a Hugging Face directory would hold it. */
function files(changes: Json = {}, beside: Partial<HubTokenizerFiles> = {}): HubTokenizerFiles {
  const metadata = tinyMetadata();
  const tokens = metadata.get('tokenizer.ggml.tokens') as string[];
  const { model, ...rest } = changes;
  return {
    tokenizer: {
      added_tokens: [TINY.endOfText, TINY.imStart, TINY.imEnd, TINY.think].map((id) => ({
        id,
        content: tokens[id],
        special: id !== TINY.think,
      })),
      normalizer: null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'Digits', individual_digits: true }, BYTE_LEVEL],
      },
      post_processor: null,
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(tokens.slice(0, TINY.endOfText).map((token, id) => [token, id])),
        merges: (metadata.get('tokenizer.ggml.merges') as string[]).map((merge) => merge.split(' ')),
        ...model,
      },
      ...rest,
    },
    tokenizerConfig: { bos_token: '<|im_start|>', eos_token: { content: '<|im_end|>' } },
    generationConfig: {},
    config: {},
    ...beside,
  };
}

const tokenizerOf = (...given: Parameters<typeof files>) => new Tokenizer(hubTokenizer(files(...given)));

test('gives the tokens that the same tokenizer in a GGUF file gives', () => {
  const hub = tokenizerOf();
  const gguf = tinyTokenizer();
  for (const text of ['hello wor 1234', "It's <think> <|im_end|>\n\n  你好 \uFEFF 🎉", '①②'])
    for (const control of [true, false])
      expect(hub.encode(text, { control })).toEqual(gguf.encode(text, { control }));
  expect(hub.vocabularySize).toBe(TINY.size);
  expect([...hub.endIds].sort()).toEqual([...gguf.endIds].sort());
  expect(hub.decode([TINY.think, TINY.imEnd])).toBe('<think>');
});

test('merges may be written as one string each', () => {
  const one = tokenizerOf({ model: { merges: ['l l'] } });
  expect(one.encode('ll', { control: false })).toEqual([256]);
  expect(one.encode('he', { control: false })).toHaveLength(2);
});

describe('the beginning of a prompt', () => {
  const template = (id: string) => ({
    type: 'Sequence',
    processors: [
      BYTE_LEVEL,
      { type: 'TemplateProcessing', single: [{ SpecialToken: { id } }, { Sequence: { id: 'A' } }] },
    ],
  });

  test('has a token where the post-processor puts one', () => {
    expect(tokenizerOf().addBos).toBe(false);
    expect(tokenizerOf({ post_processor: template('<|im_start|>') }).addBos).toBe(true);
    expect(tokenizerOf({ post_processor: template('<|other|>') }).addBos).toBe(false);
  });

  test('is what tokenizer_config.json says above all', () => {
    const tokenizerConfig = { bos_token: '<|im_start|>', add_bos_token: false };
    expect(tokenizerOf({ post_processor: template('<|im_start|>') }, { tokenizerConfig }).addBos).toBe(false);
  });
});

test('all tokens that generation_config.json names end a reply', () => {
  const generationConfig = { eos_token_id: [TINY.think, 5, 99_999] };
  const { endIds } = tokenizerOf({}, { generationConfig });
  expect([TINY.think, 5, TINY.imEnd].every((id) => endIds.has(id))).toBe(true);
  expect(endIds.has(99_999)).toBe(false);
});

test('an id without a token is a token without text', () => {
  const added = files().tokenizer.added_tokens as object[];
  const gap = tokenizerOf({ added_tokens: [...added, { id: TINY.size + 2, content: '<x>', special: true }] });
  expect(gap.vocabularySize).toBe(TINY.size + 3);
  expect(gap.textBytes(TINY.size + 1)).toHaveLength(0);
});

test.each<[string, Json, string]>([
  ['another model', { model: { type: 'Unigram' } }, '"Unigram"'],
  ['byte fallback', { model: { byte_fallback: true } }, 'byte fallback'],
  ['endings of words', { model: { end_of_word_suffix: '</w>' } }, 'end_of_word_suffix'],
  ['another pre-tokenizer', { pre_tokenizer: { type: 'Metaspace' } }, '"Metaspace"'],
  ['no bytes', { pre_tokenizer: { type: 'Digits' } }, 'not byte-level'],
  ['no pre-tokenizer', { pre_tokenizer: null }, 'not byte-level'],
  ['a leading space', { pre_tokenizer: { ...BYTE_LEVEL, add_prefix_space: true } }, 'with a space'],
  ['another normaliser', { normalizer: { type: 'Lowercase' } }, '"Lowercase"'],
  ['an absurd id', { model: { vocab: { a: 1e12 } } }, '1000000000000'],
  ['a broken merge', { model: { merges: [['a']] } }, '["a"]'],
  ['no vocabulary', { model: { vocab: {} }, added_tokens: [] }, 'no vocabulary'],
])('refuses %s by name', (_name, changes, named) => {
  expect(() => hubTokenizer(files(changes))).toThrow(TokenizerError);
  expect(() => hubTokenizer(files(changes))).toThrow(named);
});

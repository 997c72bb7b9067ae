import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readGguf } from '../../kernels/gguf/reader.ts';
import { ggufTokenizer } from '../../src/engine/gguf-tokenizer.ts';
import { Tokenizer } from '../../src/engine/tokenizer.ts';
import { realModelPath } from '../model-file.ts';

const tokenizer = new Tokenizer(ggufTokenizer(readGguf(realModelPath()).metadata));

/** [text, ids] pairs by the reference implementation (the Rust crate `tokenizers` 0.23 on the same vocabulary). */
const REFERENCE = JSON.parse(
  readFileSync(new URL('./fixtures/smollm-tokens.json', import.meta.url), 'utf8'),
) as [string, number[]][];

test('gives the tokens of the reference implementation', () => {
  for (const [text, ids] of REFERENCE) expect(tokenizer.encode(text, { control: false })).toEqual(ids);
});

test('any text survives encoding and decoding', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
      expect(tokenizer.decode(tokenizer.encode(text, { control: false }))).toBe(text);
    }),
    { numRuns: 500 },
  );
});

test('no control string becomes a control token unless asked for', () => {
  for (const control of tokenizer.controlStrings) {
    expect(tokenizer.encode(control, { control: true })).toHaveLength(1);
    expect(tokenizer.encode(control, { control: false }).length).toBeGreaterThan(1);
  }
});

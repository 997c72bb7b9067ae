import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isDecoderDirectory, recommendedSampling } from './decoder-directory.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'decoder-directory-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (file: string, content: unknown) =>
  writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));

test.each([
  ['LlamaForCausalLM', true],
  ['MixtralForCausalLM', true],
  ['GPT2LMHeadModel', true],
  ['BertModel', false],
  ['XLMRobertaForSequenceClassification', false],
])('a directory of class %s: generator %s', (name, expected) => {
  write('config.json', { architectures: [name] });
  expect(isDecoderDirectory(folder)).toBe(expected);
});

test('what sentence-transformers made of a generator is none', () => {
  write('config.json', { architectures: ['Qwen3ForCausalLM'] });
  write('modules.json', []);
  expect(isDecoderDirectory(folder)).toBe(false);
});

test('a config that cannot be read is left to whoever loads it', () => {
  expect(isDecoderDirectory(folder)).toBe(false);
  write('config.json', '{"architectures": ');
  expect(isDecoderDirectory(folder)).toBe(false);
});

test('takes the recommended sampling that a request could ask for, too', () => {
  expect(recommendedSampling(folder)).toEqual({});
  write('generation_config.json', {
    temperature: 0.6,
    top_p: 0.95,
    top_k: 20,
    typical_p: 0.9,
    repetition_penalty: 99,
    min_p: 'x',
  });
  expect(recommendedSampling(folder)).toEqual({ temperature: 0.6, topP: 0.95, topK: 20, typicalP: 0.9 });
});

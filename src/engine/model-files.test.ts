import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ModelFileError } from '../../kernels/model-file-error.ts';
import { loadModel } from './load-model.ts';
import { readModelFiles } from './model-files.ts';
import { TokenizerError } from './tokenizer-description.ts';

const TINY_MODEL = fileURLToPath(
  new URL('../../test/fixtures/reference-logits/architectures/qwen3', import.meta.url),
);
/** As many tokens as the tiny model has: 62 letters and signs, and two that steer. */
const TOKENIZER = {
  added_tokens: ['<s>', '</s>'].map((content, i) => ({ id: 62 + i, content, special: true })),
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(Array.from({ length: 62 }, (_, i) => [String.fromCharCode(65 + i), i])),
    merges: [],
  },
};

let folder: string;
let model: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'model-files-'));
  model = join(folder, 'tiny');
  cpSync(TINY_MODEL, model, { recursive: true });
  write('tokenizer.json', TOKENIZER);
  write('tokenizer_config.json', { bos_token: '<s>', eos_token: '</s>', chat_template: 'from the config' });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(file: string, content: unknown): void {
  writeFileSync(join(model, file), typeof content === 'string' ? content : JSON.stringify(content));
}

test('a Hugging Face directory becomes a model that decodes', async () => {
  const { decoder, prompts, info } = await loadModel({
    modelPath: model,
    cacheDir: folder,
    slots: 1,
    threads: 1,
    queueLimit: 1,
    prefixCacheBytes: 0,
    spinning: false,
    speculation: false,
    provider: 'cpu',
  });
  expect(info).toMatchObject({
    architecture: 'qwen3',
    contextTokens: 64,
    chatTemplate: true,
    requantised: ['BF16'],
  });
  const tokens = prompts.tokenizer.encode('ABC</s>', { control: true });
  expect(tokens).toEqual([0, 1, 2, 63]);
  expect(decoder.prefill(0, tokens, 0, true)!.every(Number.isFinite)).toBe(true);
  decoder.close();
});

test('what is wrong with a tokenizer is said with the name of its file', () => {
  write('tokenizer.json', { ...TOKENIZER, model: { type: 'Unigram' } });
  expect(() => readModelFiles(model)).toThrow(TokenizerError);
  expect(() => readModelFiles(model)).toThrow(`${model}/tokenizer.json: The tokenizer model "Unigram"`);
});

describe('the chat template', () => {
  const template = () => readModelFiles(model).chatTemplate;

  test('is the file of its own, if there is one', () => {
    expect(template()).toBe('from the config');
    write('chat_template.jinja', 'from the file');
    expect(template()).toBe('from the file');
  });

  test('is the default of several', () => {
    const templates = ['tool_use', 'default'].map((name) => ({ name, template: `the ${name}` }));
    write('tokenizer_config.json', { chat_template: templates });
    expect(template()).toBe('the default');
    write('tokenizer_config.json', { chat_template: templates.slice(0, 1) });
    expect(template()).toBeUndefined();
  });
});

test.each<[string, () => void, RegExp]>([
  ['no tokenizer', () => rmSync(join(model, 'tokenizer.json')), /it has no tokenizer\.json/],
  ['a broken tokenizer', () => write('tokenizer.json', '{"model":'), /tokenizer\.json: the file is not JSON/],
  [
    'broken settings',
    () => write('generation_config.json', '[]'),
    /generation_config\.json: the file is not a JSON object/,
  ],
])('names the file at fault: %s', (_name, damage, message) => {
  damage();
  expect(() => readModelFiles(model)).toThrow(ModelFileError);
  expect(() => readModelFiles(model)).toThrow(message);
});

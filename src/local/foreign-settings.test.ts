import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { engine } from '../../config/engine.ts';
import { refuseForeignSettings } from './foreign-settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'qianmen-kinds-'));
const encoder = join(folder, 'bert');
const generator = join(folder, 'llama.gguf');

beforeAll(() => {
  mkdirSync(encoder);
  writeFileSync(join(encoder, 'config.json'), JSON.stringify({ architectures: ['BertModel'] }));
});
afterAll(() => rmSync(folder, { recursive: true }));

const check = (path: string, settings: object) => () =>
  refuseForeignSettings(engine.parse({ path, ...settings }), path);

test.each([
  { slots: 4 },
  { prefixCacheBytes: 0 },
  { speculation: 'off' },
  { sampling: { temperature: 0.5 } },
])('%o of an encoder is refused, and the error names the model and the setting', (settings) => {
  expect(check(encoder, settings)).toThrow(
    `\`bert\` (${encoder}) is an encoder: \`${Object.keys(settings)[0]}\` is for generators. Leave it out.`,
  );
});

test.each([{ batchTokens: 100 }, { precision: 'float32' }])(
  '%o of a generator is refused, and the error names the model and the setting',
  (settings) => {
    expect(check(generator, settings)).toThrow(
      `\`llama\` (${generator}) is a generator: \`${Object.keys(settings)[0]}\` is for encoders. Leave it out.`,
    );
  },
);

test('all foreign settings are named at once', () => {
  expect(check(encoder, { slots: 4, speculation: 'off' })).toThrow(
    '`slots`, `speculation` are for generators',
  );
});

test('a GGUF file has no task', () => {
  expect(check(generator, { task: 'embed' })).toThrow(/`task` is for encoders/);
});

test('what the kind has, what both have and what is as it would be anyway passes', () => {
  expect(
    check(encoder, { batchTokens: 100, precision: 'float32', task: 'rerank', threads: 1, slots: 16 }),
  ).not.toThrow();
  expect(check(generator, { slots: 2, speculation: 'off', batchTokens: 4_096 })).not.toThrow();
});

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeDataDir } from './data-dir.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qianmen-data-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

it('makes the folder with all above it, and has nothing against one that is there', () => {
  const dataDir = join(folder, 'a/b');
  makeDataDir(dataDir);
  makeDataDir(dataDir);
  expect(existsSync(dataDir)).toBe(true);
});

it.each([
  ['', 'there is a file of that name'],
  ['/below', 'there is a file on the way to it'],
])('says what is in the way, and what to do (file%s)', (below, reason) => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  expect(() => makeDataDir(`${file}${below}`)).toThrow(
    `The data folder ${file}${below} cannot be used: ${reason}. Name another with dataDir or --data-dir.`,
  );
});

it.skipIf(process.platform !== 'linux')('says when it is in a place where nothing can be made', () => {
  expect(() => makeDataDir('/proc/nothing')).toThrow(
    'The data folder /proc/nothing cannot be used: the file system there takes nothing. Name another with dataDir or --data-dir.',
  );
});

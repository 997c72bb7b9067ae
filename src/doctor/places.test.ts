import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDataDir } from './places.ts';

describe('a data folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qianmen-places-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is tried, whether it is there or has yet to be made, and nothing is left of that', () => {
    for (const dataDir of [folder, join(folder, 'a', 'b')])
      expect(checkDataDir(dataDir).detail).toMatch(/^writable, .* free$/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('below a file is none', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(checkDataDir(join(folder, 'file', 'data'))).toMatchObject({
      status: 'failed',
      detail: `${folder}/file cannot be written: there is a file on the way to it`,
      fix: 'Choose another place with dataDir or --data-dir.',
    });
  });

  it.skipIf(process.platform !== 'linux')('is none where nothing can be made', () => {
    expect(checkDataDir('/proc/nothing')).toMatchObject({
      status: 'failed',
      detail: '/proc cannot be written: the file system there takes nothing',
      fix: 'Choose another place with dataDir or --data-dir.',
    });
  });
});

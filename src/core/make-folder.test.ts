import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeFolder } from './make-folder.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qianmen-folder-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

it('makes a folder with all above it, and has nothing against one that is there', () => {
  const path = join(folder, 'a/b/c');
  makeFolder(path);
  makeFolder(path);
  makeFolder('/');
  expect(existsSync(path)).toBe(true);
});

it('says when a file is in the way', () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  expect(() => makeFolder(file)).toThrow('EEXIST');
  expect(() => makeFolder(join(file, 'below'))).toThrow('ENOTDIR');
});

it.skipIf(process.platform !== 'linux')('gives up where none can be made, such as in /proc', () => {
  const module = fileURLToPath(new URL('make-folder.ts', import.meta.url));
  for (const path of ['/proc/nothing', '/proc/nothing/below']) {
    const script = `import { makeFolder } from ${JSON.stringify(module)}; makeFolder(${JSON.stringify(path)});`;
    // In a process of its own: what never returns could not be given up here.
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(status).toBe(1);
    expect(stderr).toContain('ENOTSUP: no folder can be made in /proc');
  }
});

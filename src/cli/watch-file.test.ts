import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { watchFile } from './watch-file.ts';

let folder: string;
let close = () => {};
const onChange = vi.fn();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qianmen-watch-'));
  onChange.mockReset();
});

afterEach(() => {
  close();
  rmSync(folder, { recursive: true });
});

async function watched(file: string, untoldMs?: number) {
  close = await watchFile(file, onChange, untoldMs);
}

const calls = (times: number) => vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(times), 5_000);

describe('watching a file', () => {
  it('tells of a change in place once, though it is written in pieces', async () => {
    const file = join(folder, 'a.yaml');
    writeFileSync(file, 'one');
    await watched(file);
    for (const text of ['', 'tw', 'two']) writeFileSync(file, text);
    await calls(1);
    writeFileSync(file, 'three');
    await calls(2);
  });

  it('tells of a file that is replaced, as editors do, again and again', async () => {
    const file = join(folder, 'a.yaml');
    writeFileSync(file, 'one');
    await watched(file);
    for (const [i, text] of ['two', 'three'].entries()) {
      writeFileSync(join(folder, '.a.swp'), text);
      renameSync(join(folder, '.a.swp'), file);
      await calls(i + 1);
    }
  });

  it('tells of a mounted ConfigMap: a link to a folder behind the file is exchanged', async () => {
    for (const version of ['v1', 'v2']) {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, 'a.yaml'), version);
    }
    symlinkSync('v1', join(folder, '..data'));
    symlinkSync('..data/a.yaml', join(folder, 'a.yaml'));
    await watched(join(folder, 'a.yaml'));
    symlinkSync('v2', join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    await calls(1);
  });

  it('tells of a change although something else in the folder changes all the time', async () => {
    const file = join(folder, 'a.yaml');
    writeFileSync(file, 'one');
    await watched(file);
    const log = setInterval(() => appendFileSync(join(folder, 'a.log'), 'line\n'), 20);
    try {
      writeFileSync(file, 'two');
      await calls(1);
    } finally {
      clearInterval(log);
    }
  });

  it('tells of a change of which nothing is to be seen in its folder, as of a file that is mounted by itself', async () => {
    for (const place of ['here', 'there']) mkdirSync(join(folder, place));
    const real = join(folder, 'there', 'a.yaml');
    writeFileSync(real, 'one');
    symlinkSync(real, join(folder, 'here', 'a.yaml'));
    await watched(join(folder, 'here', 'a.yaml'), 50);
    for (const text of ['', 'tw', 'two']) writeFileSync(real, text);
    await calls(1);
    rmSync(real);
    await calls(2);
  });

  it('tells of a file that is gone, and not of others or of the same text', async () => {
    const file = join(folder, 'a.yaml');
    writeFileSync(file, 'one');
    await watched(file);
    writeFileSync(file, 'one');
    writeFileSync(join(folder, 'b.yaml'), 'other');
    // What comes later settles what has come before.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(onChange).not.toHaveBeenCalled();
    rmSync(file);
    await calls(1);
  });
});

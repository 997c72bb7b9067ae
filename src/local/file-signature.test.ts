import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fileSignature } from './file-signature.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qianmen-signature-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

test('a file that is exchanged has another signature, one of the same size too; one that stays has the same', () => {
  const file = join(folder, 'a.gguf');
  writeFileSync(file, 'one');
  const before = fileSignature(file);
  expect(fileSignature(file)).toBe(before);
  writeFileSync(join(folder, 'new'), 'two');
  utimesSync(join(folder, 'new'), 1, 1);
  renameSync(join(folder, 'new'), file);
  expect(fileSignature(file)).not.toBe(before);
  expect(fileSignature(join(folder, 'none'))).toBeUndefined();
});

test('a directory has that of its files, through links and one folder deep', () => {
  const directory = join(folder, 'model');
  mkdirSync(join(directory, 'onnx'), { recursive: true });
  writeFileSync(join(folder, 'blob-1'), 'one');
  writeFileSync(join(folder, 'blob-2'), 'other');
  symlinkSync(join(folder, 'blob-1'), join(directory, 'onnx', 'model.onnx'));
  const before = fileSignature(directory);
  expect(fileSignature(directory)).toBe(before);
  rmSync(join(directory, 'onnx', 'model.onnx'));
  symlinkSync(join(folder, 'blob-2'), join(directory, 'onnx', 'model.onnx'));
  expect(fileSignature(directory)).not.toBe(before);
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { realEncoderPath, realModelPath } from '../../test/model-file.ts';
import { writeTinyChatModel } from '../../test/tiny-chat-model.ts';
import { type EstimateQuestion, estimateMemory, sizeText } from './memory-estimate.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qianmen-estimate-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function estimate(path: string, changes: Partial<EstimateQuestion> = {}) {
  return estimateMemory({
    kind: 'generator',
    path,
    slots: 4,
    contextTokens: undefined,
    prefixCacheBytes: 1_000,
    speculation: false,
    batchTokens: 1,
    integers: true,
    ...changes,
  });
}

test('counts the KV memory of all slots, for no more context than the model has', async () => {
  const path = writeTinyChatModel(join(folder, 'tiny.gguf'));
  // Two layers, keys and values, two heads of 16 numbers of 4 bytes.
  const bytesPerToken = 2 * 2 * 2 * 16 * 4;
  expect((await estimate(path, { contextTokens: 100 }))?.kvBytes).toBe(bytesPerToken * 100 * 4);
  expect((await estimate(path, { contextTokens: 9_999 }))?.kvBytes).toBe(bytesPerToken * 512 * 4);
  const all = await estimate(path);
  expect(all?.totalBytes).toBe(all!.weightsBytes + all!.kvBytes + all!.otherBytes + 1_000);
});

test('knows the size of the graph that is built from a real file', async () => {
  const { weightsBytes, kvBytes } = (await estimate(realModelPath(), { slots: 16 }))!;
  expect(weightsBytes / 189e6).toBeGreaterThan(0.97);
  expect(weightsBytes / 189e6).toBeLessThan(1.03);
  expect(kvBytes).toBe(30 * 2 * 3 * 64 * 4 * 2048 * 16);
  const guessing = await estimate(realModelPath(), { slots: 16, speculation: true });
  expect(guessing!.weightsBytes).toBeCloseTo(2 * weightsBytes, -1);
});

test('knows what an encoder takes, in integers and as its file has it', async () => {
  const [tables, matrices] = [(30_522 + 512 + 2) * 384, 6 * (4 * 384 + 2 * 1_536) * 384];
  const weights = async (integers: boolean) =>
    (await estimate(realEncoderPath(), { kind: 'encoder', integers }))!.weightsBytes;
  expect((await weights(true)) / (2 * (4 * tables + 2 * matrices))).toBeCloseTo(1, 2);
  expect((await weights(false)) / (2 * (4 * tables + 8 * matrices))).toBeCloseTo(1, 2);
  const perToken = async (batchTokens: number) =>
    (await estimate(realEncoderPath(), { kind: 'encoder', batchTokens }))!.otherBytes;
  expect((await perToken(1_001)) - (await perToken(1))).toBe(1_000 * 72 * 384 * 4);
});

test('leaves files that cannot be read to the engine', async () => {
  const broken = join(folder, 'broken.gguf');
  writeFileSync(broken, 'GGUF');
  expect(await estimate(broken)).toBeUndefined();
  expect(await estimate(join(folder, 'none.gguf'))).toBeUndefined();
  expect(await estimate(folder, { kind: 'encoder' })).toBeUndefined();
});

test.each([
  [200 * 2 ** 20, '200 MiB'],
  [1.5 * 2 ** 30, '1.50 GiB'],
])('%d bytes are %s', (bytes, text) => expect(sizeText(bytes)).toBe(text));

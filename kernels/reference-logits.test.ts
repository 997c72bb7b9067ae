import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { cosine, divergence, GraphWorkshop } from '../test/fixtures/tiny-graph.ts';
import type { Decoder } from './decoder.ts';
import { TENSOR_TYPES } from './gguf/tensor-types.ts';
import { ARCHITECTURES } from './graph/architectures/table.ts';
import { buildDecoderGraph } from './graph/decoder-graph.ts';
import { readDecoderSource } from './graph/model-path.ts';

/** Made by the scripts in it. */
const FOLDER = fileURLToPath(new URL('../test/fixtures/reference-logits/', import.meta.url));
const ARCHITECTURE_NAMES = readdirSync(join(FOLDER, 'architectures'));
const TYPE_NAMES = readdirSync(join(FOLDER, 'types'))
  .filter((file) => file.endsWith('.gguf'))
  .map((file) => basename(file, '.gguf'));

const workshop = new GraphWorkshop();
afterAll(() => workshop.dispose());

interface Reference {
  readonly tokens: readonly number[];
  /** After each token. */
  readonly logits: readonly Float32Array[];
}

function readReference(path: string): Reference {
  const { tokens, logits } = JSON.parse(readFileSync(join(FOLDER, path), 'utf8'));
  const all = new Float32Array(Uint8Array.from(Buffer.from(logits, 'base64')).buffer);
  const width = all.length / tokens.length;
  const rows = (tokens as number[]).map((_, i) => all.subarray(i * width, (i + 1) * width));
  return { tokens, logits: rows };
}

let graphs = 0;

function load(modelPath: string, variant: '8bit' | 'fp32') {
  const outputPath = join(workshop.folder, `${graphs++}.onnx`);
  const source = readDecoderSource(join(FOLDER, modelPath));
  const { shape, requantised } = buildDecoderGraph({ source, outputPath, variant });
  return { decoder: workshop.load({ graphPath: outputPath, shape }), requantised };
}

/** Rounding in another order; a wrong weight shows in the first digits. */
const EXACT = 2e-4;

function expectExact(decoder: Decoder, { tokens, logits }: Reference): void {
  const worst = { prefill: 0, decode: 0 };
  for (const [past, expected] of logits.entries()) {
    expect(decoder.vocabSize).toBe(expected.length);
    const prefilled = decoder.prefill(0, tokens.slice(0, past + 1), 0, true)!;
    worst.prefill = Math.max(worst.prefill, largestDifference(prefilled, expected));
    const decoded = decoder.decode(1, 1, [tokens[past]!], [past]);
    worst.decode = Math.max(worst.decode, largestDifference(decoded, expected));
  }
  expect(worst.prefill).toBeLessThan(EXACT);
  expect(worst.decode).toBeLessThan(EXACT);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);
}

/**
 * Random weights are harder on 8 bit than trained ones, and single positions scatter widely. Measured over all models
 * below: median cosine at least 0.9989, worst 0.9908; mean divergence at most 0.0034.
 */
function expectClose(decoder: Decoder, { tokens, logits }: Reference): void {
  const actual = logits.map((_, past) => decoder.prefill(0, tokens.slice(0, past + 1), 0, true)!.slice());
  const cosines = logits.map((expected, i) => cosine(expected, actual[i]!)).sort((a, b) => a - b);
  const divergences = logits.map((expected, i) => divergence(expected, actual[i]!));
  expect(cosines[Math.floor(cosines.length / 2)]).toBeGreaterThan(0.998);
  expect(cosines[0]).toBeGreaterThan(0.98);
  expect(divergences.reduce((sum, each) => sum + each, 0) / divergences.length).toBeLessThan(1e-2);
}

describe.each(ARCHITECTURE_NAMES)('%s, as transformers computes it', (name) => {
  const reference = readReference(`architectures/${name}/logits.json`);
  it.each([
    ['GGUF', `architectures/${name}/model.gguf`],
    ['safetensors', `architectures/${name}`],
  ])('from %s', (_, path) => {
    expectExact(load(path, 'fp32').decoder, reference);
    expectClose(load(path, '8bit').decoder, reference);
  });
});

describe.each(TYPE_NAMES)('%s, as ggml and transformers compute it', (type) => {
  it('from GGUF', () => {
    const reference = readReference(`types/${type}.json`);
    expectExact(load(`types/${type}.gguf`, 'fp32').decoder, reference);
    const { decoder, requantised } = load(`types/${type}.gguf`, '8bit');
    expectClose(decoder, reference);
    expect(requantised).toEqual(['Q8_0', 'Q4_0'].includes(type) ? [] : [type]);
  });
});

it('there is a reference for every architecture and every storage type', () => {
  expect(ARCHITECTURE_NAMES).toEqual(expect.arrayContaining([...ARCHITECTURES.keys()]));
  const types = [...TENSOR_TYPES.values()].map(({ name }) => name);
  // The GGUF files of the architectures are F32.
  expect([...TYPE_NAMES, 'F32'].sort()).toEqual(types.sort());
});

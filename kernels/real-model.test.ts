import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cosine, divergence } from '../test/fixtures/tiny-graph.ts';
import { realModelPath } from '../test/model-file.ts';
import { Decoder } from './decoder.ts';
import { readGguf } from './gguf/reader.ts';
import { buildDecoderGraph } from './graph/decoder-graph.ts';
import { ggufSource } from './graph/gguf-source.ts';
import { argmax } from './top-tokens.ts';

/** Chat prompts of 34 to 53 tokens in the model's own vocabulary and template. */
const PROMPTS: { prompt: string; tokens: number[] }[] = JSON.parse(
  readFileSync(new URL('../test/fixtures/chat-prompts.json', import.meta.url), 'utf8'),
);
const [FRANCE, JAPAN] = [4649, 3085];
const SLOTS = PROMPTS.length + 1;
/** Seconds on a quiet machine; the whole of a slow one's patience otherwise. */
const TIMEOUT_MS = 240_000;

let folder: string;
let decoder: Decoder;

const copy = (logits: Float32Array | undefined) => Float32Array.from(logits!);

function load(variant: '8bit' | 'fp32', slots: number): Decoder {
  const graphPath = join(folder, `${variant}.onnx`);
  const { shape } = buildDecoderGraph({
    source: ggufSource(readGguf(realModelPath())),
    outputPath: graphPath,
    variant,
  });
  return Decoder.load({ graphPath, shape, slots, contextTokens: 512, threads: 2, spinning: false });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'real-model-'));
  decoder = load('8bit', SLOTS);
}, TIMEOUT_MS);
afterAll(() => {
  decoder.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the 8-bit graph of SmolLM2', { timeout: TIMEOUT_MS }, () => {
  it('stays close to the fp32 graph over ten chat prompts', () => {
    const reference = load('fp32', 1);
    const pairs = PROMPTS.map(({ tokens }) => ({
      exact: copy(reference.prefill(0, tokens, 0, true)),
      actual: copy(decoder.prefill(0, tokens, 0, true)),
    }));
    reference.close();
    const divergences = pairs.map(({ exact, actual }) => divergence(exact, actual));
    expect(divergences.reduce((sum, each) => sum + each, 0) / pairs.length).toBeLessThan(1e-2);
    for (const [i, { exact, actual }] of pairs.entries())
      expect(cosine(exact, actual), PROMPTS[i]!.prompt).toBeGreaterThan(0.998);
  });

  it('answers a question', () => {
    // Of Japan: its logits are far apart on every processor, those for France are not.
    const tokens = PROMPTS[0]!.tokens.map((id) => (id === FRANCE ? JAPAN : id));
    const answer: number[] = [];
    let token = argmax(decoder.prefill(0, tokens, 0, true)!);
    while (answer.length < 20 && token !== 2) {
      answer.push(token);
      token = argmax(decoder.decode(0, 1, [token], [tokens.length + answer.length - 1]));
    }
    const vocabulary = readGguf(realModelPath()).metadata.get('tokenizer.ggml.tokens') as string[];
    expect(answer.map((id) => vocabulary[id]).join('')).toMatch(/Tokyo/);
  });

  it('decodes four steps of all prompts in one batch with the same bits as alone', () => {
    const steps = 4;
    const generate = (slots: number[]) => {
      const logits: Float32Array[][] = slots.map(() => []);
      const next = slots.map((slot) => argmax(decoder.prefill(slot, PROMPTS[slot]!.tokens, 0, true)!));
      for (let step = 0; step < steps; step++) {
        const pasts = slots.map((slot) => PROMPTS[slot]!.tokens.length + step);
        const rows = decoder.decode(slots[0]!, slots.length, next, pasts);
        for (const i of slots.keys()) {
          const row = copy(rows.subarray(i * decoder.vocabSize, (i + 1) * decoder.vocabSize));
          logits[i]!.push(row);
          next[i] = argmax(row);
        }
      }
      return logits;
    };
    const batched = generate([...PROMPTS.keys()]);
    for (const slot of PROMPTS.keys()) {
      const [alone] = generate([slot]);
      for (let step = 0; step < steps; step++)
        expect(same(alone![step]!, batched[slot]![step]!), `prompt ${slot}, step ${step}`).toBe(true);
    }
  });

  it('prefills in chunks with the same bits as whole', () => {
    const tokens = PROMPTS.flatMap((each) => each.tokens).slice(0, 321);
    const whole = copy(decoder.prefill(0, tokens, 0, true));
    for (const chunkSize of [256, 64, 32]) {
      let logits: Float32Array | undefined;
      for (let past = 0; past < tokens.length; past += chunkSize) {
        const chunk = tokens.slice(past, past + chunkSize);
        logits = decoder.prefill(1, chunk, past, past + chunk.length === tokens.length);
      }
      expect(same(logits!, whole), `chunks of ${chunkSize}`).toBe(true);
    }
  });

  it('goes on from restored positions with the same bits', () => {
    const tokens = PROMPTS.flatMap((each) => each.tokens).slice(0, 321);
    const whole = copy(decoder.prefill(0, tokens, 0, true));
    const saved = new Float32Array(320 * decoder.positionElements);
    decoder.save(0, 0, saved);
    for (const length of [320, 304, 16]) {
      decoder.prefill(2, tokens.toReversed(), 0, false);
      decoder.restore(2, 0, saved);
      const logits = decoder.prefill(2, tokens.slice(length), length, true)!;
      expect(same(logits, whole), `${length} of ${tokens.length} restored`).toBe(true);
    }
  });

  it('goes on from a moved slot with the same bits', () => {
    const { tokens } = PROMPTS[6]!;
    decoder.prefill(3, tokens, 0, false);
    const before = copy(decoder.decode(3, 1, [100], [tokens.length]));
    decoder.move(3, SLOTS - 1, tokens.length);
    expect(same(decoder.decode(SLOTS - 1, 1, [100], [tokens.length]), before)).toBe(true);
  });
});

/** Quicker than a matcher, which would format 49,152 numbers. */
function same(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

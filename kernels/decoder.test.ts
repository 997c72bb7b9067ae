import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cosine, GraphWorkshop } from '../test/fixtures/tiny-graph.ts';
import { TINY_VOCAB, tinyModel } from '../test/fixtures/tiny-model.ts';
import { Decoder } from './decoder.ts';
import { OrtError } from './ort/api.ts';

const ARCHITECTURES = ['llama', 'qwen2', 'qwen3'] as const;
const CONTEXT = 64;
const PROMPT = Array.from({ length: 40 }, (_, i) => (i * 37 + 11) % TINY_VOCAB);

const workshop = new GraphWorkshop();
afterAll(() => workshop.dispose());

const copy = (logits: Float32Array | undefined) => Float32Array.from(logits!);

/** Prefills `tokens` in chunks and returns the last logits. */
function prefillInChunks(decoder: Decoder, slot: number, tokens: readonly number[], chunkSize: number) {
  let logits: Float32Array | undefined;
  for (let past = 0; past < tokens.length; past += chunkSize) {
    const chunk = tokens.slice(past, past + chunkSize);
    logits = decoder.prefill(slot, chunk, past, past + chunk.length === tokens.length);
  }
  return copy(logits);
}

describe.each(ARCHITECTURES)('Decoder of %s', (architecture) => {
  let decoder: Decoder;
  beforeAll(() => {
    decoder = workshop.decoder(tinyModel({ architecture, contextTokens: CONTEXT }), '8bit', { threads: 2 });
  });

  it('gives the same logits, bit for bit, however a prompt is cut', () => {
    const whole = copy(decoder.prefill(0, PROMPT, 0, true));
    for (const chunkSize of [39, 32, 20, 13, 3, 2, 1])
      expect(prefillInChunks(decoder, 1, PROMPT, chunkSize), `chunks of ${chunkSize}`).toEqual(whole);
  });

  it('gives the same logits, bit for bit, alone and in a batch of unequal lengths', () => {
    const lengths = [40, 3, 17, 29];
    const next = [7, 8, 9, 10];
    for (const [slot, length] of lengths.entries()) decoder.prefill(slot, PROMPT.slice(0, length), 0, false);
    const alone = lengths.map((past, slot) => copy(decoder.decode(slot, 1, [next[slot]!], [past])));
    for (const count of [4, 3, 2]) {
      const batch = copy(decoder.decode(0, count, next, lengths));
      for (let row = 0; row < count; row++)
        expect(batch.subarray(row * TINY_VOCAB, (row + 1) * TINY_VOCAB), `row ${row} of ${count}`).toEqual(
          alone[row],
        );
    }
    expect(copy(decoder.decode(2, 2, next.slice(2), lengths.slice(2))).subarray(0, TINY_VOCAB)).toEqual(
      alone[2],
    );
  });

  it('goes on from a moved slot with the same logits', () => {
    decoder.prefill(0, PROMPT, 0, false);
    const before = copy(decoder.decode(0, 1, [5], [PROMPT.length]));
    decoder.prefill(2, PROMPT.slice().reverse(), 0, false);
    decoder.move(0, 2, PROMPT.length);
    decoder.prefill(0, [1, 2, 3], 0, false);
    expect(copy(decoder.decode(2, 1, [5], [PROMPT.length]))).toEqual(before);
  });

  it('goes on from restored positions with the same logits, bit for bit', () => {
    const whole = copy(decoder.prefill(0, PROMPT, 0, true));
    const next = copy(decoder.decode(0, 1, [5], [PROMPT.length]));
    const block = () => new Float32Array(16 * decoder.positionElements);
    const blocks = [block(), block()];
    for (const [i, into] of blocks.entries()) decoder.save(0, i * 16, into);
    decoder.prefill(0, PROMPT.slice().reverse(), 0, false);
    for (const restored of [32, 31, 16]) {
      decoder.prefill(3, PROMPT.slice().reverse(), 0, false);
      for (const [i, from] of blocks.entries()) if (i * 16 < restored) decoder.restore(3, i * 16, from);
      expect(copy(decoder.prefill(3, PROMPT.slice(restored), restored, true))).toEqual(whole);
      expect(copy(decoder.decode(3, 1, [5], [PROMPT.length]))).toEqual(next);
    }
  });

  it('decodes as prefill would', () => {
    const whole = copy(decoder.prefill(0, PROMPT, 0, true));
    decoder.prefill(1, PROMPT.slice(0, 10), 0, false);
    let logits = new Float32Array();
    for (let past = 10; past < PROMPT.length; past++)
      logits = copy(decoder.decode(1, 1, [PROMPT[past]!], [past]));
    expect(cosine(logits, whole)).toBeGreaterThan(0.999);
  });

  it('leaves the other slots alone', () => {
    decoder.prefill(0, PROMPT, 0, false);
    decoder.prefill(1, PROMPT, 0, false);
    const before = copy(decoder.decode(0, 1, [5], [PROMPT.length]));
    decoder.prefill(
      1,
      PROMPT.map((token) => (token + 1) % TINY_VOCAB),
      0,
      false,
    );
    decoder.decode(1, 3, [1, 2, 3], [50, 0, 0]);
    expect(copy(decoder.decode(0, 1, [5], [PROMPT.length]))).toEqual(before);
  });
});

describe('Decoder', () => {
  let decoder: Decoder;
  let built: ReturnType<GraphWorkshop['build']>;
  beforeAll(() => {
    built = workshop.build(tinyModel({ architecture: 'llama', contextTokens: CONTEXT }), '8bit');
    decoder = workshop.load(built);
  });

  it('tells its dimensions', () => {
    expect(decoder).toMatchObject({ vocabSize: TINY_VOCAB, layers: 2, slots: 4, contextTokens: CONTEXT });
    // 2 layers × 2 sides × 4 slots × 2 KV heads × 80 positions (64 and one for padding, in sixteens) × 16 × 4 bytes
    expect(decoder.kvBytes).toBe(2 * 2 * 4 * 2 * 80 * 16 * 4);
  });

  it('fills the context to the last position, by chunk and by step', () => {
    const full = Array.from({ length: CONTEXT }, (_, i) => i);
    const whole = copy(decoder.prefill(0, full, 0, true));
    decoder.prefill(1, full.slice(0, -1), 0, false);
    expect(copy(decoder.prefill(1, full.slice(-1), CONTEXT - 1, true))).toEqual(whole);
    expect(cosine(copy(decoder.decode(1, 1, full.slice(-1), [CONTEXT - 1])), whole)).toBeGreaterThan(0.999);
  });

  it('does not compute logits that nobody wants', () => {
    expect(decoder.prefill(0, PROMPT, 0, false)).toBeUndefined();
  });

  it('works through more shapes than it keeps bindings for', () => {
    const first = copy(decoder.prefill(0, PROMPT.slice(0, 5), 0, true));
    for (let length = 1; length <= CONTEXT; length++)
      for (const slot of [0, 1, 2]) decoder.prefill(slot, new Array(length).fill(1), 0, false);
    expect(copy(decoder.prefill(0, PROMPT.slice(0, 5), 0, true))).toEqual(first);
  });

  it.each<[string, (decoder: Decoder) => unknown]>([
    ['no tokens', (d) => d.prefill(0, [], 0, true)],
    ['a token outside the vocabulary', (d) => d.prefill(0, [TINY_VOCAB], 0, true)],
    ['a negative token', (d) => d.decode(0, 1, [-1], [0])],
    ['a token that is not a number', (d) => d.decode(0, 1, [Number.NaN], [0])],
    ['a token that is not whole', (d) => d.decode(0, 1, [1.5], [0])],
    ['a slot that is not there', (d) => d.prefill(4, [1], 0, true)],
    ['slots that are not there', (d) => d.decode(1, 4, [1, 1, 1, 1], [0, 0, 0, 0])],
    ['an empty batch', (d) => d.decode(0, 0, [], [])],
    ['too few tokens', (d) => d.decode(0, 2, [1], [0, 0])],
    ['a chunk beyond the context', (d) => d.prefill(0, [1, 2], CONTEXT - 1, true)],
    ['a step beyond the context', (d) => d.decode(0, 1, [1], [CONTEXT])],
    ['a past that is not a number', (d) => d.decode(0, 1, [1], [Number.NaN])],
    ['a move beyond the context', (d) => d.move(0, 1, CONTEXT + 1)],
    ['saving beyond the context', (d) => d.save(0, CONTEXT, new Float32Array(d.positionElements))],
    ['saving half a position', (d) => d.save(0, 0, new Float32Array(d.positionElements / 2))],
    ['restoring beyond the context', (d) => d.restore(0, CONTEXT, new Float32Array(d.positionElements))],
    ['restoring into a slot that is not there', (d) => d.restore(4, 0, new Float32Array(d.positionElements))],
  ])('refuses %s', (_name, act) => {
    expect(() => act(decoder)).toThrow(RangeError);
  });

  it('refuses impossible options', () => {
    expect(() => workshop.load({ ...built, contextTokens: CONTEXT + 1 })).toThrow(/was made for 64/);
    expect(() => workshop.load({ ...built, slots: 0 })).toThrow(/slots is 0/);
    expect(() => workshop.load({ ...built, slots: 2 ** 30 })).toThrow(
      /MiB for the (KV memory|logits) of 1073741824 slots/,
    );
  });

  it('says what is wrong with a graph that cannot be loaded', () => {
    const graphPath = join(workshop.folder, 'bad.onnx');
    writeFileSync(graphPath, 'not a graph');
    const load = () => workshop.load({ ...built, graphPath });
    expect(load).toThrow(OrtError);
    expect(load).toThrow(/bad\.onnx/);
    expect(() => workshop.load({ ...built, graphPath: join(workshop.folder, 'none.onnx') })).toThrow(
      /none\.onnx/,
    );
  });

  it('is of no use once closed', () => {
    const closed = workshop.load(built);
    closed.close();
    closed.close();
    expect(() => closed.decode(0, 1, [1], [0])).toThrow(/closed/);
  });

  it('gives its native memory back', () => {
    const cycle = () => {
      const one = Decoder.load({ ...built, slots: 2, contextTokens: CONTEXT, threads: 1, spinning: false });
      one.prefill(0, PROMPT, 0, true);
      one.close();
    };
    for (let i = 0; i < 20; i++) cycle();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 100; i++) cycle();
    // A session of this model takes more than a megabyte.
    expect(process.memoryUsage().rss - before).toBeLessThan(50 * 2 ** 20);
  });
});

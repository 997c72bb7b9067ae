import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GraphWorkshop } from '../test/fixtures/tiny-graph.ts';
import { TINY_VOCAB, tinyModel } from '../test/fixtures/tiny-model.ts';
import type { Decoder } from './decoder.ts';
import { VERIFY_ROWS } from './graph/verify-graph.ts';

const CONTEXT = 64;
const workshop = new GraphWorkshop();
afterAll(() => workshop.dispose());

describe.each(['llama', 'qwen2', 'qwen3'] as const)('Decoder.verify of %s', (architecture) => {
  let plain: Decoder;
  let verifying: Decoder;
  beforeAll(() => {
    const built = workshop.build(tinyModel({ architecture, contextTokens: CONTEXT }), '8bit');
    plain = workshop.load(built);
    verifying = workshop.load({ ...built, verifies: true });
  });

  const token = fc.integer({ min: 0, max: TINY_VOCAB - 1 });
  const tokens = (minLength: number, maxLength: number) => fc.array(token, { minLength, maxLength });

  it('gives the bits of single steps, and leaves the KV memory of single steps behind', () => {
    fc.assert(
      fc.property(tokens(1, 40), tokens(1, VERIFY_ROWS), tokens(1, 3), (prompt, checked, after) => {
        const past = prompt.length;
        for (const decoder of [plain, verifying]) decoder.prefill(0, prompt, 0, false);
        const rows = verifying.verify(checked, past);
        for (const [row, each] of checked.entries())
          expect(rows.subarray(row * TINY_VOCAB, (row + 1) * TINY_VOCAB)).toEqual(
            plain.decode(0, 1, [each], [past + row]),
          );
        for (const [i, each] of after.entries()) {
          const at = past + checked.length + i;
          expect(verifying.decode(0, 1, [each], [at])).toEqual(plain.decode(0, 1, [each], [at]));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('goes on after any number of its rows as if the others had not been there', () => {
    const prompt = [5, 6, 7, 8, 9];
    for (let kept = 1; kept <= VERIFY_ROWS; kept++) {
      const checked = [1, 2, 3, 4].slice(0, VERIFY_ROWS);
      for (const decoder of [plain, verifying]) decoder.prefill(0, prompt, 0, false);
      verifying.verify(checked, prompt.length);
      for (let row = 0; row < kept; row++) plain.decode(0, 1, [checked[row]!], [prompt.length + row]);
      const at = [prompt.length + kept];
      expect(verifying.decode(0, 1, [99], at)).toEqual(plain.decode(0, 1, [99], at));
    }
  });

  it('does all else as without, bit for bit', () => {
    const prompt = Array.from({ length: 30 }, (_, i) => (i * 37 + 11) % TINY_VOCAB);
    expect(verifying.prefill(1, prompt, 0, true)).toEqual(plain.prefill(1, prompt, 0, true));
    for (const decoder of [plain, verifying]) decoder.prefill(0, prompt.slice(0, 9), 0, false);
    expect(verifying.decode(0, 2, [1, 2], [9, 30])).toEqual(plain.decode(0, 2, [1, 2], [9, 30]));
  });

  it('leaves the other slots alone', () => {
    for (const slot of [0, 1]) verifying.prefill(slot, [1, 2, 3], 0, false);
    const before = Float32Array.from(verifying.decode(1, 1, [4], [3]));
    verifying.verify([9, 9, 9], 3);
    expect(verifying.decode(1, 1, [4], [3])).toEqual(before);
  });

  it('refuses what does not fit', () => {
    expect(() => plain.verify([1], 0)).toThrow(/not loaded to verify/);
    expect(() => verifying.verify([], 0)).toThrow(RangeError);
    expect(() => verifying.verify(new Array(VERIFY_ROWS + 1).fill(1), 0)).toThrow(RangeError);
    expect(() => verifying.verify([1], CONTEXT - VERIFY_ROWS + 1)).toThrow(RangeError);
    expect(() => verifying.verify([TINY_VOCAB], 0)).toThrow(RangeError);
  });
});

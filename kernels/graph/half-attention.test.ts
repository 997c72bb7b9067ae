import { afterAll, describe, expect, it } from 'vitest';
import { cosine, GraphWorkshop } from '../../test/fixtures/tiny-graph.ts';
import { tinyModel } from '../../test/fixtures/tiny-model.ts';

const TOKENS = [5, 17, 99, 0, 42, 42, 8, 63, 21, 77, 3];

const workshop = new GraphWorkshop();
afterAll(() => workshop.dispose());

// The CPU has kernels for both, and its memory is as good a device as any. Weights are float: 8 bit would round by itself.
describe.each(['llama', 'qwen2', 'qwen3'] as const)('attention in half precision: %s', (architecture) => {
  const { graphPath, shape } = workshop.build(tinyModel({ architecture }), 'fp32');
  const whole = workshop.load({ graphPath, shape });
  const half = workshop.load({ graphPath, shape, kv: { memory: 'device', attention: 'float16' } });

  it('computes the same but for rounding, by chunks and by steps', () => {
    const expected = whole.prefill(1, TOKENS, 0, true)!.slice();
    half.prefill(1, TOKENS.slice(0, 5), 0, false);
    const logits = half.prefill(1, TOKENS.slice(5), 5, true)!.slice();
    expect(cosine(logits, expected)).toBeGreaterThan(0.9999);
    expect(logits).not.toEqual(expected);
    for (const decoder of [whole, half]) {
      decoder.move(1, 0, TOKENS.length);
      decoder.prefill(1, [4, 5], 0, false);
    }
    const pasts = [TOKENS.length, 2];
    const both = half.decode(0, 2, [1, 2], pasts).slice();
    expect(cosine(both, whole.decode(0, 2, [1, 2], pasts))).toBeGreaterThan(0.9999);
  });

  it('takes half the memory, and gives kept positions back as they were', () => {
    // One slot more, to compute prompts in.
    expect(half.kvBytes / (half.slots + 1)).toBe(whole.kvBytes / whole.slots / 2);
    const computed = half.prefill(2, TOKENS, 0, true)!.slice();
    const kv = new Float32Array(8 * half.positionElements);
    half.save(2, 0, kv);
    half.restore(3, 0, kv);
    const again = new Float32Array(kv.length);
    half.save(3, 0, again);
    expect(again).toEqual(kv);
    expect(half.prefill(3, TOKENS.slice(8), 8, true)!).toEqual(computed);
  });
});

import { describe, expect, it } from 'vitest';
import { Settings } from '../settings.ts';
import type { Architecture } from './architecture.ts';
import { gemma2 } from './gemma2.ts';
import { gemma3 } from './gemma3.ts';

const SIZES = { hiddenSize: 5376, heads: 32, kvHeads: 16, headDim: 128 };

function traits(
  { traits: read }: Architecture,
  kind: 'gguf' | 'safetensors',
  values: Record<string, unknown>,
) {
  return read![kind](new Settings('a file', '', (key) => values[key]), SIZES);
}

const localUpTo = (layers: number, given: ReturnType<typeof traits>) =>
  Array.from({ length: layers }, (_, layer) => given.localLayers?.includes(layer));

describe('which layers see a window', () => {
  const window = { sliding_window: 512, max_position_embeddings: 32_768 };
  const everySixth = [true, true, true, true, true, false, true];

  it('is told by kind of layer, by an interval, or not at all', () => {
    const types = ['full_attention', 'sliding_attention'];
    expect(localUpTo(2, traits(gemma3, 'safetensors', { ...window, layer_types: types }))).toEqual([
      false,
      true,
    ]);
    expect(localUpTo(3, traits(gemma3, 'safetensors', { ...window, sliding_window_pattern: 2 }))).toEqual([
      true,
      false,
      true,
    ]);
    expect(localUpTo(7, traits(gemma3, 'safetensors', window))).toEqual(everySixth);
    expect(localUpTo(3, traits(gemma2, 'safetensors', window))).toEqual([true, false, true]);
  });

  it('is told by GGUF files in the same ways', () => {
    const inFile = { context_length: 32_768, 'attention.sliding_window': 512 };
    const listed = { ...inFile, 'attention.sliding_window_pattern': [false, true] };
    expect(localUpTo(2, traits(gemma3, 'gguf', listed))).toEqual([false, true]);
    expect(localUpTo(7, traits(gemma3, 'gguf', inFile))).toEqual(everySixth);
  });

  it('does not bound the context', () => {
    expect(traits(gemma3, 'safetensors', window).maxContextTokens).toBe(32_768);
  });

  it('is none where there is no window', () => {
    expect(traits(gemma3, 'gguf', { context_length: 8192 }).localLayers).toBeUndefined();
  });
});

describe('the rotations of layers that see a window', () => {
  const base = { sliding_window: 512, max_position_embeddings: 1024 };
  const thetaOf = (values: object) =>
    traits(gemma3, 'safetensors', { ...base, ...values }).localLayers?.rope?.theta;

  it('are told beside the others, or by kind of layer', () => {
    expect(thetaOf({})).toBe(10_000);
    expect(thetaOf({ rope_local_base_freq: 5000 })).toBe(5000);
    expect(thetaOf({ rope_parameters: { sliding_attention: { rope_theta: 7000 } } })).toBe(7000);
  });

  it('are refused where they are scaled', () => {
    const scaled = { rope_parameters: { sliding_attention: { rope_type: 'linear' } } };
    expect(() => thetaOf(scaled)).toThrow('rope_type is linear');
  });
});

it('the largest models divide attention by another size, which GGUF files do not say', () => {
  const scaleOf = (layers: number) =>
    traits(gemma3, 'gguf', { context_length: 1024, block_count: layers }).attentionScale;
  expect(scaleOf(62)).toBe(1 / Math.sqrt(5376 / 32));
  expect(scaleOf(26)).toBe(1 / Math.sqrt(128));
});

it('attention that looks ahead is refused', () => {
  expect(() =>
    traits(gemma3, 'safetensors', { max_position_embeddings: 64, use_bidirectional_attention: true }),
  ).toThrow('use_bidirectional_attention');
});

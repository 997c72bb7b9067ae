import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ModelFileError } from '../model-file-error.ts';
import { ensureDecoderGraph } from './cache.ts';
import { huggingFaceSource } from './hugging-face-source.ts';

const MODELS = fileURLToPath(new URL('../../test/fixtures/reference-logits/architectures/', import.meta.url));

let folder: string;
let model: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hugging-face-'));
  model = join(folder, 'model');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

// biome-ignore lint/suspicious/noExplicitAny: what tests change goes deep, and is theirs to know
type Json = any;

function copy(name: string): void {
  cpSync(join(MODELS, name), model, { recursive: true });
}

function changeJson(file: string, change: (content: Json) => Json): void {
  const path = join(model, file);
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')))));
}

const changeConfig = (changes: Json) => changeJson('config.json', (config) => ({ ...config, ...changes }));
const parameters = () => huggingFaceSource(model).parameters;

describe('huggingFaceSource', () => {
  it('reads rotary settings of before transformers 5 alike', () => {
    copy('llama3');
    const { rope } = parameters();
    expect(new Set(rope.frequencyFactors).size).toBeGreaterThan(2);
    changeJson('config.json', ({ rope_parameters: { rope_theta, ...rope_scaling }, ...config }: Json) => ({
      ...config,
      rope_theta,
      rope_scaling,
    }));
    expect(parameters().rope).toEqual(rope);
  });

  it('keeps the context inside the window of attention', () => {
    copy('llama');
    changeConfig({ sliding_window: 32 });
    expect(parameters().maxContextTokens).toBe(32);
    changeConfig({ use_sliding_window: false });
    expect(parameters().maxContextTokens).toBe(64);
  });

  it('keeps the context below where LongRoPE changes all frequencies', () => {
    copy('phi3-long');
    const { rope, maxContextTokens } = parameters();
    expect(maxContextTokens).toBe(32);
    expect(rope).toMatchObject({ dims: 16, amplitude: Math.sqrt(1 + Math.log(2) / Math.log(32)) });
    // Before transformers 5 it stood elsewhere.
    changeJson('config.json', ({ rope_parameters, ...config }: Json) => {
      const {
        rope_theta,
        partial_rotary_factor,
        original_max_position_embeddings: _,
        ...rope_scaling
      } = rope_parameters;
      return { ...config, rope_theta, partial_rotary_factor, rope_scaling };
    });
    expect(parameters()).toMatchObject({ rope, maxContextTokens });
  });

  it('rotates the layers that the list names, or all but every so manieth', () => {
    const rotated = () => [0, 1, 2, 3].map(parameters().rotates);
    copy('smollm3');
    changeConfig({ no_rope_layers: [0, 1, 1, 0] });
    expect(rotated()).toEqual([false, true, true, false]);
    changeConfig({ no_rope_layers: null, no_rope_layer_interval: 2 });
    expect(rotated()).toEqual([true, false, true, false]);
  });

  it.each<[string, Json, RegExp]>([
    [
      'another architecture',
      { architectures: ['MixtralForCausalLM'] },
      /architecture MixtralForCausalLM is not supported \(LlamaFor/,
    ],
    ['no architecture', { architectures: undefined }, /architecture missing is not supported/],
    ['quantised weights', { quantization_config: { quant_method: 'awq' } }, /weights are quantised \(awq\)/],
    ['another activation', { hidden_act: 'gelu' }, /hidden_act is gelu: only silu/],
    ['biases', { attention_bias: true }, /attention_bias is true: only false/],
    [
      'rotary scaling it does not know',
      { rope_parameters: { rope_type: 'yarn' } },
      /rotary scaling yarn is not supported/,
    ],
    [
      'rotary settings by layer',
      { rope_parameters: { full: { rope_type: 'default' } } },
      /not the same in all layers/,
    ],
    [
      'heads that turn in an odd part',
      { partial_rotary_factor: 0.7 },
      /\d+ of 16 numbers of each head are to be rotated: only all of them/,
    ],
    [
      'absurd sizes',
      { num_hidden_layers: 1e9 },
      /num_hidden_layers is 1000000000, not an integer from 1 to 1024/,
    ],
  ])('refuses %s', (_name, changes, message) => {
    copy('llama');
    changeConfig(changes);
    expect(parameters).toThrow(ModelFileError);
    expect(parameters).toThrow(message);
  });

  it('ignores a head that is the embedding, and tables of old checkpoints', () => {
    copy('qwen3');
    const { tensors } = huggingFaceSource(model);
    expect(tensors.has('lm_head.weight')).toBe(false);
    copy('llama3');
    changeConfig({ tie_word_embeddings: true });
    expect(huggingFaceSource(model).tensors.has('lm_head.weight')).toBe(false);
  });
});

describe('a model in several files', () => {
  const SHARD = 'model-00002-of-00003.safetensors';
  beforeEach(() => copy('llama3'));

  it.each<[string, () => void, RegExp]>([
    [
      'a missing file',
      () => rmSync(join(model, SHARD)),
      /00002-of-00003\.safetensors: the file is missing, which/,
    ],
    [
      'a file that was cut',
      () => truncateSync(join(model, SHARD), 2000),
      /00002-of-00003\.safetensors: .*truncated or damaged/,
    ],
    [
      'a tensor that is not where the index says',
      () =>
        changeJson('model.safetensors.index.json', (index: Json) => ({
          weight_map: { ...index.weight_map, 'x.weight': SHARD },
        })),
      /00002-of-00003\.safetensors: the tensor x\.weight is missing/,
    ],
    [
      'a file elsewhere',
      () =>
        changeJson('model.safetensors.index.json', () => ({ weight_map: { a: '../../etc/x.safetensors' } })),
      /the tensor a is said to be in no proper file name/,
    ],
    [
      'no weights at all',
      () => renameSync(join(model, 'model.safetensors.index.json'), join(model, 'x')),
      /neither model\.safetensors nor/,
    ],
  ])('is refused for %s', (_name, damage, message) => {
    damage();
    expect(parameters).toThrow(ModelFileError);
    expect(parameters).toThrow(message);
  });

  it('is built once, and again when one of the files changed', () => {
    const cacheDir = join(folder, 'cache');
    const first = ensureDecoderGraph(model, cacheDir);
    expect(first).toMatchObject({ requantised: ['F16'], shape: { architecture: 'llama', vocabSize: 64 } });
    expect(ensureDecoderGraph(model, cacheDir)).toEqual(first);
    writeFileSync(join(model, SHARD), readFileSync(join(model, SHARD)));
    expect(ensureDecoderGraph(model, cacheDir).graphPath).not.toBe(first.graphPath);
  });
});

describe('a folder that cannot be written to', () => {
  it('leaves the graph to the next one', () => {
    copy('llama');
    // Nobody may make a folder here, not even root: a stand-in for a disk that is only read.
    const readOnly = '/sys/graphs';
    const graph = ensureDecoderGraph(model, readOnly, join(folder, 'cache'));
    expect(graph.graphPath.startsWith(folder)).toBe(true);
    expect(ensureDecoderGraph(model, readOnly, join(folder, 'cache'))).toEqual(graph);
  });
});

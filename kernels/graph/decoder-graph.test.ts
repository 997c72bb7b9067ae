import { existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ggufBytes } from '../../test/fixtures/gguf-writer.ts';
import { cosine, divergence, GraphWorkshop } from '../../test/fixtures/tiny-graph.ts';
import { tinyModel } from '../../test/fixtures/tiny-model.ts';
import { readGguf } from '../gguf/reader.ts';
import { ModelFileError } from '../model-file-error.ts';
import { buildDecoderGraph } from './decoder-graph.ts';
import { ggufSource } from './gguf-source.ts';

const workshop = new GraphWorkshop();
afterAll(() => workshop.dispose());

const TOKENS = [5, 17, 99, 0, 42, 42, 8, 63, 21, 77, 3];

function logitsOf(content: Parameters<GraphWorkshop['build']>[0], variant: '8bit' | 'fp32') {
  return Float32Array.from(workshop.decoder(content, variant).prefill(0, TOKENS, 0, true)!);
}

const ARCHITECTURES = ['llama', 'qwen2', 'qwen3'] as const;

describe('buildDecoderGraph', () => {
  for (const architecture of ARCHITECTURES) {
    for (const tied of [true, false]) {
      it(`gives the 8-bit graph of ${architecture} (${tied ? 'tied' : 'own'} head) the logits of the fp32 graph`, () => {
        const content = tinyModel({ architecture, tied });
        const reference = logitsOf(content, 'fp32');
        const logits = logitsOf(content, '8bit');
        expect(cosine(reference, logits)).toBeGreaterThan(0.999);
        expect(divergence(reference, logits)).toBeLessThan(1e-2);
      });
    }
  }

  it.each(['Q8_0', 'Q4_0'] as const)('takes %s over without loss', (matrixType) => {
    const content = tinyModel({ architecture: 'llama', tied: false, matrixType });
    expect(workshop.build(content, '8bit').requantised).toEqual([]);
    expect(cosine(logitsOf(content, 'fp32'), logitsOf(content, '8bit'))).toBeGreaterThan(0.999);
  });

  it('says which quantisations it changed', () => {
    const content = tinyModel({ architecture: 'llama', matrixType: 'Q4_1' });
    expect(workshop.build(content, '8bit').requantised).toEqual(['Q4_1']);
    expect(cosine(logitsOf(content, 'fp32'), logitsOf(content, '8bit'))).toBeGreaterThan(0.999);
  });

  it('uses biases, head norms and rotary factors', () => {
    const unlike = (name: string, content: ReturnType<typeof tinyModel>) => {
      const changed = {
        ...content,
        tensors: content.tensors.map((tensor) =>
          tensor.name === name
            ? {
                ...tensor,
                data: new Uint8Array(
                  Float32Array.from({ length: tensor.dims[0]! }, (_, i) => 1 + (i % 3)).buffer,
                ),
              }
            : tensor,
        ),
      };
      return cosine(logitsOf(content, 'fp32'), logitsOf(changed, 'fp32'));
    };
    expect(unlike('blk.0.attn_v.bias', tinyModel({ architecture: 'qwen2' }))).toBeLessThan(0.999);
    expect(unlike('blk.0.attn_q_norm.weight', tinyModel({ architecture: 'qwen3' }))).toBeLessThan(0.99999);
    expect(unlike('blk.1.attn_k_norm.weight', tinyModel({ architecture: 'qwen3' }))).toBeLessThan(0.99999);
    expect(unlike('rope_freqs.weight', tinyModel({ architecture: 'llama', ropeFactors: true }))).toBeLessThan(
      0.99999,
    );
  });

  it('leaves nothing behind when it refuses a model', () => {
    const content = tinyModel({ architecture: 'llama' });
    const tensors = content.tensors.filter(({ name }) => name !== 'blk.1.ffn_down.weight');
    const before = readdirSync(workshop.folder).length;
    expect(() => workshop.build({ ...content, tensors }, '8bit')).toThrow(
      /the tensor blk\.1\.ffn_down\.weight is missing/,
    );
    expect(readdirSync(workshop.folder).length).toBe(before + 1);
  });

  it('refuses tensors that it would not use', () => {
    const content = tinyModel({ architecture: 'qwen2' });
    const metadata = Object.fromEntries(
      Object.entries(content.metadata).map(([key, entry]) => [key.replace('qwen2', 'llama'), entry]),
    );
    metadata['general.architecture'] = { type: 'string', value: 'llama' };
    expect(() => workshop.build({ ...content, metadata }, '8bit')).toThrow(
      /6 tensors do not belong to the architecture llama .*blk\.0\.attn_q\.bias/,
    );
  });

  it('keeps the context inside the window of attention; a window of 0 is none', () => {
    const contextOf = (window: number) => {
      const content = tinyModel({ architecture: 'llama' });
      const windowed = { type: 'u32', value: window } as const;
      const metadata = { ...content.metadata, 'llama.attention.sliding_window': windowed };
      return workshop.build({ ...content, metadata }, '8bit').shape.maxContextTokens;
    };
    expect([contextOf(32), contextOf(0), contextOf(99)]).toEqual([32, 64, 64]);
  });

  it('takes a setting that is the same in all layers for one', () => {
    const content = tinyModel({ architecture: 'llama' });
    const build = (kvHeads: readonly number[]) => {
      const metadata = {
        ...content.metadata,
        'llama.attention.head_count_kv': { type: 'i32s', value: kvHeads } as const,
      };
      return workshop.build({ ...content, metadata }, '8bit');
    };
    expect(build([2, 2]).shape.kvHeads).toBe(2);
    expect(() => build([2, 4])).toThrow(/head_count_kv is \[2,4\], not an integer/);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'another architecture',
      { 'general.architecture': 'gpt2' },
      /architecture gpt2 is not supported \(llama/,
    ],
    ['mixtures of experts', { 'llama.expert_count': 8 }, /llama\.expert_count is 8/],
    ['rotary scaling it does not know', { 'llama.rope.scaling.type': 'yarn' }, /rotary scaling yarn/],
    ['values of another width', { 'llama.attention.value_length': 8 }, /value_length is 8: only 16/],
    ['zero layers', { 'llama.block_count': 0 }, /llama\.block_count is 0, not an integer from 1/],
    ['heads that cannot be shared', { 'llama.attention.head_count_kv': 3 }, /4 heads cannot share 3/],
    [
      'a shape that does not fit',
      { 'llama.embedding_length': 32 },
      /has the shape \[64, 100\] where \[32, 100\]/,
    ],
  ])('refuses %s', (_name, changes, message) => {
    const content = tinyModel({ architecture: 'llama' });
    const metadata = { ...content.metadata };
    for (const [key, value] of Object.entries(changes))
      metadata[key] =
        typeof value === 'string' ? { type: 'string', value } : { type: 'u32', value: value as number };
    const build = () => workshop.build({ ...content, metadata }, '8bit');
    expect(build).toThrow(ModelFileError);
    expect(build).toThrow(message);
  });

  it('refuses weights that are not numbers', () => {
    const content = tinyModel({ architecture: 'llama', matrixType: 'Q8_0' });
    const damaged = (name: string, change: (data: Uint8Array) => void) => ({
      ...content,
      tensors: content.tensors.map((tensor) => {
        const data = tensor.data.slice();
        if (tensor.name === name) change(data);
        return { ...tensor, data };
      }),
    });
    // A half-precision infinity as the first scale.
    const scale = damaged('blk.1.ffn_up.weight', (data) => data.set([0, 0x7c]));
    expect(() => workshop.build(scale, '8bit')).toThrow(/blk\.1\.ffn_up\.weight holds a scale/);
    const norm = damaged('output_norm.weight', (data) => data.set([0, 0, 0xc0, 0x7f], 8));
    expect(() => workshop.build(norm, '8bit')).toThrow(/output_norm\.weight holds a weight/);
  });

  it('refuses a file that was cut after its header was read', () => {
    const path = join(workshop.folder, 'cut.gguf');
    const bytes = ggufBytes(tinyModel({ architecture: 'llama' }));
    writeFileSync(path, bytes);
    const gguf = readGguf(path);
    truncateSync(path, bytes.length / 2);
    const outputPath = join(workshop.folder, 'cut.onnx');
    expect(() => buildDecoderGraph({ source: ggufSource(gguf), outputPath, variant: '8bit' })).toThrow(
      /the file became shorter/,
    );
    expect(existsSync(outputPath)).toBe(false);
  });
});

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Decoder } from '../../kernels/decoder.ts';
import { ensureDecoderGraph } from '../../kernels/graph/cache.ts';
import type { Provider } from '../../kernels/ort/providers.ts';
import { testDevice, useTestDevice } from '../engine/test-device.ts';
import { cosine, divergence } from '../fixtures/tiny-graph.ts';
import { realModelPath } from '../model-file.ts';

const wanted = process.env.QIANMEN_DEVICE_MODEL !== undefined;
if (!wanted)
  process.stderr.write(
    'QIANMEN_DEVICE_MODEL is not set: the real model is not computed on a device. QIANMEN_TEST_PROVIDER=webgpu or cuda names a GPU for it; else SwiftShader takes a minute or more.\n',
  );
const device = testDevice();

const CHAT: { tokens: number[] } = JSON.parse(
  readFileSync(new URL('../fixtures/chat-prompts.json', import.meta.url), 'utf8'),
)[0];

describe.skipIf(!wanted || device === undefined)('SmolLM2 on a device', { timeout: 600_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'device-model-'));
  let cpu: Decoder;
  let gpu: Decoder;

  beforeAll(() => {
    useTestDevice(device!);
    const { graphPath, shape } = ensureDecoderGraph(realModelPath(), folder);
    const load = (provider?: Provider) =>
      Decoder.load({
        ...{ graphPath, shape, slots: 3, contextTokens: 128, threads: 2, spinning: false },
        ...(provider === undefined ? {} : { provider }),
      });
    cpu = load();
    gpu = load(device!.provider);
  }, 600_000);
  afterAll(() => {
    cpu?.close();
    gpu?.close();
    rmSync(folder, { recursive: true });
  });

  // Both multiply 8-bit activations here and there, each in its own way.
  it('stays close to the CPU, prompt and reply', () => {
    const { tokens } = CHAT;
    expectClose(cpu.prefill(0, tokens, 0, true)!, gpu.prefill(0, tokens, 0, true)!);
    for (const [i, token] of [504, 3575].entries()) {
      const past = [tokens.length + i];
      expectClose(cpu.decode(0, 1, [token], past), gpu.decode(0, 1, [token], past));
    }
  });

  it('gives the same in any slot, and of what was kept', () => {
    const { tokens } = CHAT;
    const alone = gpu.prefill(0, tokens, 0, true)!.slice();
    const elsewhere = gpu.prefill(2, tokens, 0, true)!.slice();
    const kept = [8, 16].map((count) => new Float32Array(count * gpu.positionElements));
    gpu.save(2, 0, ...kept);
    gpu.restore(1, 0, ...kept);
    const hit = gpu.prefill(1, tokens.slice(24), 24, true)!;
    expect(cosine(alone, elsewhere)).toBeGreaterThan(0.99999);
    // A chunk of another length may be computed by other kernels, some of which multiply 8-bit activations.
    expect(cosine(alone, hit)).toBeGreaterThan(0.998);
    expect(divergence(alone, hit)).toBeLessThan(0.1);
  });
});

function expectClose(onCpu: Float32Array, onDevice: Float32Array): void {
  expect(cosine(onCpu, onDevice)).toBeGreaterThan(0.99);
  expect(divergence(onCpu, onDevice)).toBeLessThan(0.1);
}

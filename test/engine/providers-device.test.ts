import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Decoder } from '../../kernels/decoder.ts';
import { EncoderSession } from '../../kernels/encoder/session.ts';
import { OnnxGraph } from '../../kernels/graph/onnx-graph.ts';
import type { ClassifyRequest } from '../../src/core/encoder.ts';
import { createLocalEncoder } from '../../src/encoder/local-encoder.ts';
import { createEngineBackend, type EngineBackend } from '../../src/engine/engine-backend.ts';
import { writeTinyClassifier } from '../encoder/tiny-encoder.ts';
import { cosine, GraphWorkshop } from '../fixtures/tiny-graph.ts';
import { tinyModel } from '../fixtures/tiny-model.ts';
import { chat, collect, partOf, textOf } from './requests.ts';
import { testDevice, useTestDevice } from './test-device.ts';
import { tinyModelFile } from './tiny-model-file.ts';

const device = testDevice();
const { provider, environment = {}, nearness = { toCpu: 0, toItself: 0 } } = device ?? {};
const NAME = provider?.name ?? 'webgpu';
const PROVIDER = { provider: NAME, ...(provider === undefined ? {} : { providerOptions: provider.options }) };
const WITHOUT = device === undefined ? ' (skipped: SwiftShader is not here; .ci/run brings it)' : '';
const PROMPT = [5, 17, 99, 0, 42, 42, 8, 63, 21, 77, 3, 14, 15, 92, 65, 35, 89, 79, 32, 38];

const workshop = new GraphWorkshop();
const engines: EngineBackend[] = [];
if (device !== undefined) useTestDevice(device);
afterAll(async () => {
  await Promise.all(engines.map((engine) => engine.close()));
  workshop.dispose();
});

function argmax(logits: Float32Array): number {
  return logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
}

/** Greedy tokens that follow the prompt in slot 0. */
function greedy(decoder: Decoder, count: number): number[] {
  const tokens = [argmax(decoder.prefill(0, PROMPT, 0, true)!)];
  while (tokens.length < count)
    tokens.push(argmax(decoder.decode(0, 1, [tokens.at(-1)!], [PROMPT.length + tokens.length - 1])));
  return tokens;
}

describe.skipIf(device === undefined)(`${NAME}, with KV memory on the device${WITHOUT}`, () => {
  /** The same graph on the CPU and on the device. */
  function pair(variant: '8bit' | 'fp32', architecture: 'llama' | 'qwen2' | 'qwen3' = 'llama') {
    const { graphPath, shape } = workshop.build(tinyModel({ architecture }), variant);
    return {
      cpu: workshop.load({ graphPath, shape }),
      gpu: workshop.load({ graphPath, shape, provider: provider! }),
    };
  }

  it.each(['llama', 'qwen2', 'qwen3'] as const)('computes what the CPU computes: %s', (architecture) => {
    const { cpu, gpu } = pair('fp32', architecture);
    const onCpu = cpu.prefill(0, PROMPT, 0, true)!.slice();
    const onGpu = gpu.prefill(0, PROMPT, 0, true)!.slice();
    for (const [id, logit] of onCpu.entries())
      expect(Math.abs(onGpu[id]! - logit)).toBeLessThan(nearness.toCpu);
    // In half precision the next token may be another.
    if (NAME === 'webgpu') expect(greedy(gpu, 24)).toEqual(greedy(cpu, 24));
  });

  // The CPU's kernels quantise activations to 8 bit, the device's do not.
  it.each(['llama', 'qwen2', 'qwen3'] as const)('stays close to it in 8 bit: %s', (architecture) => {
    const { cpu, gpu } = pair('8bit', architecture);
    const onCpu = cpu.prefill(0, PROMPT, 0, true)!.slice();
    expect(cosine(onCpu, gpu.prefill(0, PROMPT, 0, true)!)).toBeGreaterThan(0.999);
  });

  it('decodes sequences of several lengths together as it decodes each alone', () => {
    const { cpu, gpu } = pair('fp32');
    const decodeAll = (decoder: Decoder) => {
      for (const [slot, length] of [20, 3, 9].entries())
        decoder.prefill(slot, PROMPT.slice(0, length), 0, false);
      return decoder.decode(0, 3, [1, 2, 3], [20, 3, 9]).slice();
    };
    const together = decodeAll(gpu);
    for (const [i, logit] of decodeAll(cpu).entries())
      expect(Math.abs(together[i]! - logit)).toBeLessThan(nearness.toCpu);
  });

  it('fills a slot by chunks while others decode', () => {
    const { gpu } = pair('fp32');
    const whole = gpu.prefill(0, PROMPT, 0, true)!.slice();
    gpu.prefill(0, PROMPT.slice(0, 4), 0, false);
    for (let from = 0; from < PROMPT.length; from += 5) {
      const last = from + 5 >= PROMPT.length;
      const logits = gpu.prefill(2, PROMPT.slice(from, from + 5), from, last);
      // Another slot on the stage in between, and one that decodes.
      gpu.prefill(3, [9, 9, from], 0, false);
      gpu.decode(0, 1, [from], [4 + from / 5]);
      if (logits !== undefined && last) {
        gpu.move(2, 1, PROMPT.length);
        const again = gpu.prefill(2, PROMPT.slice(from), from, true)!;
        for (const [id, logit] of whole.entries())
          expect(Math.abs(again[id]! - logit)).toBeLessThan(nearness.toItself);
      }
    }
    // The copy in slot 1 goes on as the original does.
    const moved = gpu.decode(0, 2, [7, 7], [4, PROMPT.length]).slice(gpu.vocabSize);
    gpu.move(2, 0, PROMPT.length);
    const original = gpu.decode(0, 1, [7], [PROMPT.length]);
    for (const [id, logit] of original.entries())
      expect(Math.abs(moved[id]! - logit)).toBeLessThan(nearness.toItself);
  });

  it('gives after kept positions were restored what it gave when it computed them', () => {
    const { gpu } = pair('8bit');
    const computed = gpu.prefill(1, PROMPT, 0, true)!.slice();
    const blocks = [0, 8].map(() => new Float32Array(8 * gpu.positionElements));
    gpu.save(1, 0, ...blocks);
    gpu.prefill(3, PROMPT.toReversed(), 0, false);
    gpu.restore(3, 0, ...blocks);
    const hit = gpu.prefill(3, PROMPT.slice(16), 16, true)!;
    expect(argmax(hit)).toBe(argmax(computed));
    for (const [id, logit] of computed.entries())
      expect(Math.abs(hit[id]! - logit)).toBeLessThan(nearness.toCpu);
    const again = new Float32Array(8 * gpu.positionElements);
    gpu.save(3, 8, again);
    expect(again).toEqual(blocks[1]);
  });

  it('serves a model from a process of its own, with hits of the prefix cache', async () => {
    const modelPath = tinyModelFile(workshop.folder);
    const gpu = createEngineBackend({
      name: 'tiny',
      modelPath,
      cacheDir: workshop.folder,
      slots: 2,
      ...PROVIDER,
      environment,
      emit: () => {},
    });
    engines.push(gpu);
    await gpu.ready;
    expect(gpu.info()).toMatchObject({ provider: NAME, providersPassedOver: [] });
    expect(gpu.health().detail).toContain(`on ${NAME}`);
    const ask = async () => {
      const request = chat('hello world, hello again', { stop: { maxTokens: 24, ignoreEos: true } });
      const parts = await collect(
        await gpu.run(request, { model: 'tiny', signal: AbortSignal.timeout(60_000) }),
      );
      return { text: textOf(parts), ...partOf(parts, 'usage').usage };
    };
    const miss = await ask();
    const hit = await ask();
    expect(miss.completionTokens).toBe(24);
    expect(hit.text).toBe(miss.text);
    expect([miss.cachedPromptTokens, hit.cachedPromptTokens > 16]).toEqual([0, true]);
  });

  it('encodes as the CPU does', async () => {
    const directory = writeTinyClassifier({ weights: { good: [0.5, 0], cat: [1, 2], a: [0.2, 0.1] } });
    const request: ClassifyRequest = {
      id: 'r',
      endpoint: 'classify',
      model: 'm',
      inputs: ['good cat', 'a cat'],
      truncateTokens: undefined,
      wire: { dialect: 'openai', path: '/classify', body: Buffer.alloc(0) },
    };
    const classes = async (where: 'cpu' | typeof NAME) => {
      const encoder = createLocalEncoder({
        name: where,
        directory,
        ...PROVIDER,
        provider: where,
        environment,
        emit: () => {},
      });
      try {
        await encoder.ready;
        expect(encoder.info()).toMatchObject({ provider: where });
        const { classes } = await encoder.classify(request, { signal: AbortSignal.timeout(30_000) });
        return classes.flatMap(({ probabilities }) => probabilities);
      } finally {
        await encoder.close();
      }
    };
    const [onCpu, onGpu] = [await classes('cpu'), await classes(NAME)];
    for (const [i, value] of onCpu.entries()) expect(onGpu[i]).toBeCloseTo(value, NAME === 'cuda' ? 3 : 5);
  });

  it.skipIf(NAME !== 'webgpu')('refuses an encoder whose products it would leave to the CPU', async () => {
    const graph = new OnnxGraph();
    graph.input('input_ids', 'int64', ['b', 's']);
    graph.float32('table', Float32Array.from({ length: 64 }, Math.sin), [16, 4]);
    graph.float32('matrix', Float32Array.from({ length: 16 }, Math.cos), [4, 4]);
    graph.node('Gather', ['table', 'input_ids'], ['rows']);
    graph.node('DynamicQuantizeLinear', ['rows'], ['a', 'aScale', 'aZero']);
    graph.node('DynamicQuantizeLinear', ['matrix'], ['b', 'bScale', 'bZero']);
    graph.node('MatMulInteger', ['a', 'b', 'aZero', 'bZero'], ['product']);
    graph.node('Cast', ['product'], ['last_hidden_state'], { to: 1 });
    graph.output('last_hidden_state', 'float32', ['b', 's', 4]);
    const graphPath = join(workshop.folder, 'in-integers.onnx');
    writeFileSync(graphPath, graph.serialise());
    const options = { graphPath, threads: 1, spinning: false, padId: 0 };
    const load = (rest: object) =>
      EncoderSession.load({ ...options, readout: { kind: 'vector', pooling: 'mean' }, ...rest });
    const onCpu = await load({});
    expect((await onCpu.run([{ ids: [1, 2] }]))[0]).toHaveLength(4);
    onCpu.close();
    await expect(load({ provider })).rejects.toThrow(
      /webgpu cannot be used: it has no kernel for the model's MatMulInteger, which would run on the CPU/,
    );
  });

  it.skipIf(NAME !== 'webgpu')('leaves a small encoder to the CPU under auto', async () => {
    const encoder = createLocalEncoder({
      name: 'small',
      directory: writeTinyClassifier({ weights: { good: [0.5, 0] } }),
      provider: 'auto',
      environment,
      emit: () => {},
    });
    try {
      await encoder.ready;
      // SwiftShader is no device that auto looks for.
      const reason = /^webgpu: (a small encoder is slower on it than on the CPU|no GPU is to be seen)/;
      expect(encoder.info()).toMatchObject({ provider: 'cpu' });
      expect(encoder.info()?.providersPassedOver.at(-1)).toMatch(reason);
    } finally {
      await encoder.close();
    }
  });

  it.skipIf(NAME !== 'webgpu')('says what is missing where there is no driver', async () => {
    const engine = createEngineBackend({
      name: 'blind',
      modelPath: tinyModelFile(workshop.folder),
      cacheDir: workshop.folder,
      provider: 'webgpu',
      environment: { ...environment, VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' },
      emit: () => {},
    });
    engines.push(engine);
    await expect(engine.ready).rejects.toThrow(
      /The provider webgpu cannot be used: ONNX Runtime says: .*adapter.*\. No GPU's driver answers: install/,
    );
  });
});

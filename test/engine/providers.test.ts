import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { ortLibraryFolder } from '../../kernels/ort/library.ts';
import { ProviderError } from '../../kernels/ort/provider-error.ts';
import { probeProvider } from '../../kernels/ort/provider-probe.ts';
import { type Machine, requireLibraries, thisMachine } from '../../kernels/ort/provider-requirements.ts';
import { ProviderSearch } from '../../kernels/ort/provider-search.ts';
import { PROVIDERS, type Provider, type ProviderName } from '../../kernels/ort/providers.ts';
import type { EngineStateChanged } from '../../src/core/event.ts';
import { createEngineBackend, type SpawnEngine } from '../../src/engine/engine-backend.ts';
import { loadModel } from '../../src/engine/load-model.ts';
import type { FromEngine, LoadOptions, ToEngine } from '../../src/engine/messages.ts';
import { type ModelProcessEvents, spawnModelProcess } from '../../src/model-process/model-process.ts';
import { withFallback } from '../../src/model-process/provider-fallback.ts';
import { describeProvider } from '../../src/model-process/provider-info.ts';
import { GraphWorkshop } from '../fixtures/tiny-graph.ts';
import { FAKE_INFO } from './fake-children.ts';
import { tinyModelFile } from './tiny-model-file.ts';

const workshop = new GraphWorkshop();
afterAll(() => workshop.dispose());

const BARE: Machine = {
  platform: 'linux',
  arch: 'x64',
  libraryFolder: '/ort',
  exists: () => false,
  load: () => 'no such file',
  hasGpu: () => true,
};

const provider = (name: ProviderName, options = {}): Provider => ({ name, options });

function refusal(act: () => void): string {
  try {
    act();
  } catch (error) {
    if (error instanceof ProviderError) return error.message;
    throw error;
  }
  return 'works';
}

describe('a provider that cannot be used', () => {
  it.each<[ProviderName, Partial<Machine>, string]>([
    [
      'cuda',
      {},
      'libonnxruntime_providers_shared.so is not beside ONNX Runtime in /ort. It comes with ONNX Runtime for CUDA: install the Python package onnxruntime-gpu',
    ],
    [
      'cuda',
      { exists: (path) => path.includes('shared') },
      'libonnxruntime_providers_cuda.so is not beside ONNX Runtime in /ort. It comes with',
    ],
    [
      'tensorrt',
      { exists: (path) => !path.includes('tensorrt') },
      'libonnxruntime_providers_tensorrt.so is not beside ONNX Runtime in /ort. It comes with',
    ],
    ['cuda', { platform: 'win32' }, 'onnxruntime_providers_shared.dll is not beside'],
    ['coreml', {}, 'it exists on darwin, and this is linux x64. Choose another provider'],
    ['dml', {}, 'it exists on win32, and this is linux x64. Choose another provider'],
    [
      'cuda',
      { platform: 'darwin', arch: 'arm64' },
      'it exists on linux and win32, and this is darwin arm64.',
    ],
  ])('%s: says what is not installed', (name, machine, expected) => {
    const message = refusal(() => probeProvider(provider(name), { ...BARE, ...machine }));
    expect(message).toContain(`The provider ${name} cannot be used: ${expected}`);
  });

  it.each<[ProviderName, string, string]>([
    ['cuda', 'libcuda.so.1', "Install NVIDIA's driver"],
    ['webgpu', 'libvulkan.so.1', 'Install the Vulkan loader (Debian: libvulkan1)'],
  ])('%s: says which library is missing: %s', (name, library, remedy) => {
    const load = (wanted: string) => (wanted === library ? 'no such file' : undefined);
    const message = refusal(() => requireLibraries(provider(name), { ...BARE, load }));
    expect(message).toBe(
      `The provider ${name} cannot be used: ${library} cannot be loaded (no such file). ${message.slice(message.indexOf(remedy))}`,
    );
    expect(message).toContain(remedy);
  });

  it.each<[ProviderName, string, string]>([
    ['cuda', 'libcublasLt.so.13', 'Install the CUDA (of the version that the name ends in)'],
    ['tensorrt', 'libnvinfer.so.10', 'Install TensorRT'],
  ])('%s: finds in the log which library of %s is missing', (name, library, remedy) => {
    const program = join(workshop.folder, `missing-${name}.mjs`);
    const log = `[E:onnxruntime] Failed to load library /ort/libonnxruntime_providers_${name}.so with error: ${library}: cannot open shared object file: No such file or directory`;
    const outcome = { works: false, missing: 'Failed to load shared library', remedy: 'None.' };
    writeFileSync(
      program,
      `console.error(${JSON.stringify(log)}); process.stdout.write(${JSON.stringify(JSON.stringify(outcome))});`,
    );
    const installed = { ...BARE, exists: () => true };
    const message = refusal(() => probeProvider(provider(name), installed, pathToFileURL(program)));
    expect(message).toContain(
      `The provider ${name} cannot be used: ${library} cannot be loaded (no such file). ${remedy}`,
    );
  });

  it('is looked for in the folder of another ONNX Runtime', () => {
    const there = provider('cuda', { libraryFolder: '/opt/ort' });
    const message = refusal(() =>
      probeProvider(there, { ...BARE, exists: (path) => path.startsWith('/ort/') }),
    );
    expect(message).toContain('libonnxruntime_providers_shared.so is not beside ONNX Runtime in /opt/ort.');
  });

  it('computes with the ONNX Runtime in the folder that is named, or not at all', async () => {
    const engine = (libraryFolder: string) =>
      createEngineBackend({
        name: 'm',
        modelPath: tinyModelFile(workshop.folder),
        cacheDir: workshop.folder,
        provider: 'cpu',
        providerOptions: { libraryFolder },
        emit: () => {},
      });
    const [there, empty] = [join(workshop.folder, 'another'), join(workshop.folder, 'empty')];
    cpSync(ortLibraryFolder(), there, { recursive: true });
    mkdirSync(empty);
    const [works, fails] = [engine(there), engine(empty)];
    try {
      await expect(fails.ready).rejects.toThrow(
        /The provider cpu cannot be used: there is no ONNX Runtime for .* in .*empty\. Correct `libraryFolder`/,
      );
      await works.ready;
      if (process.platform === 'linux')
        expect(readFileSync(`/proc/${works.pid}/maps`, 'utf8')).toContain(join(there, 'libonnxruntime.so'));
    } finally {
      await Promise.all([works.close(), fails.close()]);
    }
  });

  it('refuses options that are not its own', () => {
    expect(refusal(() => probeProvider(provider('webgpu', { deviceId: 1 }), BARE))).toBe(
      'The provider webgpu cannot be used: it has no deviceId. Leave the option out.',
    );
    expect(
      refusal(() => probeProvider(provider('dml', { memoryLimitBytes: 1 }), { ...BARE, platform: 'win32' })),
    ).toContain('it has no memoryLimitBytes');
  });

  it('is refused by the very same words when its name is asked of this machine', () => {
    const machine = thisMachine();
    for (const name of PROVIDERS) {
      if (name === 'cpu') continue;
      const message = refusal(() => [...new ProviderSearch({ wanted: name })]);
      if (message === 'works') continue;
      expect(message).toMatch(new RegExp(`^The provider ${name} cannot be used: .+\\. \\S.+\\.$`, 's'));
      expect(message).not.toContain('undefined');
    }
    if (machine.platform === 'linux')
      expect(refusal(() => [...new ProviderSearch({ wanted: 'coreml' })])).toContain('it exists on darwin');
  });

  it('takes nothing along when its driver crashes', () => {
    const program = join(workshop.folder, 'crash.mjs');
    writeFileSync(program, "process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 1000);");
    expect(refusal(() => probeProvider(provider('webgpu'), BARE, pathToFileURL(program)))).toBe(
      'The provider webgpu cannot be used: the process that tried it crashed (SIGSEGV). That is a fault of its driver: update it, or choose another provider.',
    );
  });
});

describe('auto', () => {
  const search = (machine: Partial<Machine>, probe: (p: Provider) => void) =>
    new ProviderSearch({
      wanted: 'auto',
      options: { deviceId: 1, memoryLimitBytes: 5, libraryFolder: '/opt/ort' },
      machine: { ...BARE, ...machine },
      probe,
    });
  const broken = ({ name }: Provider) => {
    throw new ProviderError(name, `${name} is broken`, 'Mend it.');
  };

  it('tries the best first, each with the options that it takes, and the CPU last', () => {
    const names = (platform: NodeJS.Platform) => [...search({ platform }, () => {})].map(({ name }) => name);
    expect(names('linux')).toEqual(['cuda', 'webgpu', 'cpu']);
    expect(names('darwin')).toEqual(['webgpu', 'cpu']);
    expect(names('win32')).toEqual(['cuda', 'webgpu', 'dml', 'cpu']);
    const [cuda, webgpu] = [...search({}, () => {})];
    expect(cuda!.options).toEqual({ deviceId: 1, memoryLimitBytes: 5, libraryFolder: '/opt/ort' });
    expect(webgpu!.options).toEqual({ libraryFolder: '/opt/ort' });
  });

  it('falls to the CPU and says why', () => {
    const all = search({}, broken);
    expect([...all].map(({ name }) => name)).toEqual(['cpu']);
    expect(all.passedOver).toEqual(['cuda: cuda is broken', 'webgpu: webgpu is broken']);
    expect(describeProvider({ provider: 'cpu', providersPassedOver: all.passedOver })).toBe(
      'on cpu (not cuda: cuda is broken; not webgpu: webgpu is broken)',
    );
  });

  it('does not try drivers where there is no GPU', () => {
    const none = search({ hasGpu: () => false }, () => {});
    expect([...none].map(({ name }) => name)).toEqual(['cpu']);
    expect(none.passedOver[0]).toContain('no GPU is to be seen');
  });

  it('goes on when the model does not load on what works otherwise', () => {
    const all = search({}, () => {});
    const loadedOn: string[] = [];
    for (const each of all) {
      loadedOn.push(each.name);
      if (each.name !== 'cpu') all.reject(each, new RangeError('no memory left\non the device'));
    }
    expect(loadedOn).toEqual(['cuda', 'webgpu', 'cpu']);
    expect(all.passedOver).toEqual(['cuda: no memory left', 'webgpu: no memory left']);
  });

  it('does not blame a provider for what is wrong with the model', () => {
    const all = search({}, () => {});
    const [cuda] = all;
    expect(() => all.reject(cuda!, new Error('the file is damaged'))).toThrow('the file is damaged');
  });

  it('loads a model, and tells where it computes', async () => {
    const modelPath = tinyModelFile(workshop.folder);
    const options: LoadOptions = {
      modelPath,
      cacheDir: workshop.folder,
      slots: 2,
      queueLimit: 1,
      prefixCacheBytes: 0,
      spinning: false,
      speculation: false,
      provider: 'auto',
    };
    const { info, decoder } = await loadModel(options);
    decoder.close();
    expect(PROVIDERS).toContain(info.provider);
    if (info.provider === 'cpu')
      for (const reason of info.providersPassedOver) expect(reason).toMatch(/^(cuda|webgpu|dml): .+/);
    await expect(loadModel({ ...options, provider: 'coreml' })).rejects.toThrow(
      process.platform === 'darwin'
        ? /has no kernel for the model's .*GroupQueryAttention/
        : /it exists on darwin/,
    );
  });
});

describe('an engine that crashes on a GPU', () => {
  function harness() {
    const children: { sent: ToEngine[]; events: ModelProcessEvents<FromEngine> }[] = [];
    const spawn: SpawnEngine = (events) => {
      const sent: ToEngine[] = [];
      children.push({ sent, events });
      return { pid: 1, unreadBytes: 0, send: (message) => sent.push(message), kill: () => {} };
    };
    const start = withFallback<ToEngine, FromEngine>(spawn);
    const load: ToEngine = { type: 'load', options: { modelPath: 'm', provider: 'auto' } as LoadOptions };
    return () => {
      const child = start({ onMessage: () => {}, onExit: () => {} });
      child.send(load);
      const { sent, events } = children.at(-1)!;
      return { child, events, options: (sent[0] as { options: LoadOptions }).options };
    };
  }

  it('computes on the CPU from then on, and says so', () => {
    const start = harness();
    const first = start();
    expect(first.options.provider).toBe('auto');
    first.events.onMessage({ type: 'ready', info: { ...FAKE_INFO, provider: 'webgpu' } });
    first.events.onExit('the engine process ended (SIGSEGV)');
    for (let i = 0; i < 2; i++) {
      const { options, events } = start();
      expect(options).toMatchObject({
        modelPath: 'm',
        provider: 'cpu',
        providerPassedOver: ['webgpu: the engine process ended (SIGSEGV)'],
      });
      events.onExit('the engine process ended (SIGKILL)');
    }
  });

  it('does so too when it dies while it loads', () => {
    const start = harness();
    start().events.onExit('the engine process ended (SIGSEGV)');
    expect(start().options.provider).toBe('cpu');
  });

  it('serves on after a native crash of a real process', async () => {
    const states: EngineStateChanged[] = [];
    const engine = createEngineBackend({
      name: 'm',
      modelPath: 'm',
      cacheDir: '.',
      provider: 'auto',
      spawn: (events) => spawnModelProcess(events, new URL('./crashing-driver.ts', import.meta.url)),
      emit: (event) => event.type === 'engine-state-changed' && states.push(event),
      times: { firstRestartMs: 10 },
    });
    try {
      await expect(engine.ready).rejects.toThrow('the engine process ended (SIGSEGV)');
      await vi.waitFor(() => expect(engine.health().state).toBe('ready'), 20_000);
      expect(states.map(({ state }) => state)).toEqual(['starting', 'down', 'starting', 'ready']);
      expect(states.at(-1)).toMatchObject({
        provider: 'cpu',
        detail: expect.stringContaining('on cpu (not a GPU: the engine process ended (SIGSEGV)'),
      });
    } finally {
      await engine.close();
    }
  });

  it('stays with `auto` after an end that has nothing to do with it', () => {
    const start = harness();
    const onCpu = start();
    onCpu.events.onMessage({ type: 'ready', info: FAKE_INFO });
    onCpu.events.onExit('the engine process ended (SIGSEGV)');
    const refused = start();
    expect(refused.options.provider).toBe('auto');
    refused.events.onMessage({ type: 'failed', detail: 'no such file', permanent: true });
    refused.events.onExit('the engine process ended (exit code 1)');
    const closed = start();
    expect(closed.options.provider).toBe('auto');
    closed.events.onMessage({ type: 'ready', info: { ...FAKE_INFO, provider: 'webgpu' } });
    closed.child.send({ type: 'shutdown' });
    closed.events.onExit('the engine process ended (exit code 0)');
    expect(start().options.provider).toBe('auto');
  });
});

/**
 * The local engine on this machine's GPU, beside its CPU: what it computes, and how fast.
 *
 *   node bench/engine/gpu.ts [--providers webgpu,cuda] [--model FILE.gguf] [--library FOLDER] [--extra NAME=VALUE,…] [--quick] [--out FILE]
 *
 * `--library` names the folder of another ONNX Runtime for all but WebGPU and the CPU, see `libraryFolder` in config/engine.ts. A
 * provider that does not work is reported with its reason. Writes GPU.md beside itself, with --quick into .cache.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ProviderName } from '../../kernels/ort/providers.ts';
import { PROCESS_ENVIRONMENT } from '../../src/model-process/model-process.ts';
import { type Measured, renderGpu } from './gpu-report.ts';
import { measureServed } from './gpu-served.ts';
import type { GpuOutcome, GpuTask } from './gpu-task.ts';
import { cacheFolder } from './install.ts';
import { runToEnd } from './processes.ts';

const MODEL = 'models/smollm2-135m-instruct.gguf';
const root = join(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    providers: { type: 'string', default: 'webgpu,cuda' },
    model: { type: 'string' },
    library: { type: 'string' },
    extra: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});
const model = resolve(
  values.model ?? [join(root, 'data', MODEL), join(root, '.cache', MODEL)].find(existsSync) ?? '',
);
const batches = values.quick ? [1, 8] : [1, 8, 16, 32];
const promptLengths = values.quick ? [128] : [128, 512, 1024];
const clients = values.quick ? [1, 4] : [1, 8, 32];
const [chats, replyTokens] = values.quick ? [2, 4] : [10, 48];
const threads = Math.min(availableParallelism(), 8);
/** What a driver is found by; an engine process gets nothing else. */
const environment = Object.fromEntries(
  ['LD_LIBRARY_PATH', 'VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'CUDA_VISIBLE_DEVICES'].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  ),
);
const extra = Object.fromEntries(
  values.extra
    .split(',')
    .filter(Boolean)
    .map((entry) => entry.split('=') as [string, string]),
);

await main();

async function main(): Promise<void> {
  if (!existsSync(model))
    throw new Error('There is no model: run `npm start` once, or name one with --model.');
  mkdirSync(cacheFolder, { recursive: true });
  say('fp32 on cpu, the reference');
  const reference = { batches: [], prompts: [], variant: 'fp32' } as const;
  const exact = await decode('cpu', reference);
  const measured: Measured[] = [];
  for (const name of ['cpu', ...values.providers.split(',')] as ProviderName[]) {
    say(name);
    measured.push(await measureProvider(name));
  }
  say('auto');
  const auto = await measureServed({ ...engine(values.library), provider: 'auto', clients: [1] }).catch(
    String,
  );
  const where = typeof auto === 'string' ? auto : auto.where;
  const report = renderGpu(measured, { exact, auto: where, gpu: gpuName(), threads });
  const out = values.out ?? join(values.quick ? cacheFolder : import.meta.dirname, 'GPU.md');
  writeFileSync(out, report);
  process.stdout.write(report);
}

function say(line: string): void {
  process.stderr.write(`${(performance.now() / 1_000).toFixed(1)} s: ${line}\n`);
}

/** CPU and WebGPU are in the ONNX Runtime that comes along. */
function libraryFor(provider: ProviderName): string | undefined {
  return provider === 'cpu' || provider === 'webgpu' ? undefined : values.library;
}

function engine(libraryFolder: string | undefined) {
  return {
    modelPath: model,
    cacheDir: cacheFolder,
    environment,
    threads,
    providerOptions: { libraryFolder },
  };
}

async function measureProvider(provider: ProviderName): Promise<Measured> {
  try {
    const bare = await decode(provider, { batches, prompts: promptLengths, variant: '8bit' });
    say(`${provider}, through the engine`);
    const served = await measureServed({ ...engine(libraryFor(provider)), provider, clients });
    return { provider, bare, served };
  } catch (error) {
    const failure = (error as Error).message;
    say(failure);
    return {
      provider,
      failure: failure.split('\n').find((line) => /^\w*Error: /.test(line)) ?? failure,
    };
  }
}

async function decode(
  provider: ProviderName,
  what: Pick<GpuTask, 'batches' | 'prompts' | 'variant'>,
): Promise<{ outcome: GpuOutcome; logits: Float32Array }> {
  const logitsFile = join(cacheFolder, `logits-${provider}-${what.variant}.f32`);
  const task: GpuTask = {
    ...{ chats, replyTokens },
    ...{ model, cacheDir: cacheFolder, threads, provider, logitsFile, libraryFolder: libraryFor(provider) },
    ...(provider === 'cpu' ? {} : { extra }),
    ...what,
  };
  const variables = Object.entries(PROCESS_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  const program = [process.execPath, join(import.meta.dirname, 'gpu-decoder.ts'), JSON.stringify(task)];
  const output = await runToEnd(['env', ...variables, ...program]);
  const outcome: GpuOutcome = JSON.parse(output.trimEnd().split('\n').at(-1)!);
  return { outcome, logits: new Float32Array(new Uint8Array(readFileSync(logitsFile)).buffer) };
}

function gpuName(): string {
  try {
    const query = ['--query-gpu=name,driver_version', '--format=csv,noheader'];
    return execFileSync('nvidia-smi', query, { encoding: 'utf8' }).trim().replace(', ', ', driver ');
  } catch {
    return 'a GPU that nvidia-smi does not know';
  }
}

/**
 * Embeddings over HTTP on this machine's GPU, beside its CPU: how close the vectors are, and how many texts per second.
 *
 *   node bench/encoder/gpu.ts [--providers webgpu,cuda] [--model DIRECTORY] [--library FOLDER] [--threads 8] [--seconds 3] [--out FILE]
 *
 * `--library` names the folder of another ONNX Runtime for CUDA and `auto`, see `libraryFolder` in config/engine.ts. A provider that does
 * not work is reported with its reason. Writes GPU.md beside itself.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { askFor, type Served, startServer, vectorsOf } from './served.ts';
import { texts } from './texts.ts';

const { values } = parseArgs({
  options: {
    providers: { type: 'string', default: 'webgpu,cuda' },
    model: { type: 'string', default: join(import.meta.dirname, '../../data/models/all-minilm-l6-v2') },
    library: { type: 'string' },
    threads: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '3' },
    out: { type: 'string', default: join(import.meta.dirname, 'GPU.md') },
  },
});
const seconds = Number(values.seconds);
const threads = Number(values.threads);
/** What a driver is found by; an encoder's process gets nothing else. */
const environment = Object.fromEntries(
  ['LD_LIBRARY_PATH', 'VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'CUDA_VISIBLE_DEVICES'].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  ),
);
/** In one request. */
const DOCUMENTS = 256;
const compared = texts(128, 'mixed');

interface Measured {
  readonly name: string;
  readonly readyMs: number;
  readonly detail: string;
  readonly vectors: readonly (readonly number[])[];
  /** Texts per second. */
  readonly rates: ReadonlyMap<string, number>;
}

const measured: Measured[] = [];
const failures: string[] = [];
const exact = await measure('float32', { provider: 'cpu', precision: 'float32' }, []);
for (const provider of ['cpu', ...values.providers.split(',')]) {
  try {
    measured.push(await measure(provider, engineFor(provider), ['queries', 'mixed']));
  } catch (error) {
    failures.push(`- ${provider}: ${(error as Error).message}`);
  }
}
const auto = await measure('auto', engineFor('auto'), []).then(({ detail }) => detail, String);
const report = render();
writeFileSync(values.out, report);
process.stdout.write(report);

function engineFor(provider: string): object {
  const libraryFolder = provider === 'cpu' || provider === 'webgpu' ? undefined : values.library;
  return { provider, ...(libraryFolder === undefined ? {} : { providerOptions: { libraryFolder } }) };
}

async function measure(
  name: string,
  engine: object,
  corpora: readonly ('queries' | 'mixed')[],
): Promise<Measured> {
  const startedAtMs = performance.now();
  const server = await startServer({ path: values.model, threads, environment, ...engine });
  const readyMs = performance.now() - startedAtMs;
  process.stderr.write(`${name}: ${server.detail}\n`);
  try {
    const vectors = await vectorsOf(server.url, compared);
    const rates = new Map<string, number>();
    for (const corpus of corpora) {
      await askFor(1, server.url, 32, texts(512, corpus));
      for (const clients of [1, 32])
        rates.set(`${corpus}, ${clients} clients`, await rateOf(server, clients, texts(512, corpus)));
      const documents = texts(DOCUMENTS, corpus);
      rates.set(`${corpus}, ${DOCUMENTS} in a request`, DOCUMENTS * (await rateOf(server, 1, [documents])));
    }
    return { name, readyMs, detail: server.detail, vectors, rates };
  } finally {
    await server.close();
  }
}

async function rateOf({ url }: Served, clients: number, inputs: readonly (string | string[])[]) {
  return (await askFor(seconds, url, clients, inputs)).rate;
}

function render(): string {
  const rows = [...(measured[0]?.rates.keys() ?? [])].map((what) => [
    what,
    ...measured.map(({ rates }) => rates.get(what)!.toFixed(0)),
  ]);
  const cosines = measured.map(({ vectors }) =>
    Math.min(...vectors.map((vector, i) => cosineOf(vector, exact.vectors[i]!))).toFixed(6),
  );
  const table = [
    ['texts per second', ...measured.map(({ name }) => name)],
    ['---', ...measured.map(() => '---')],
    ...rows,
    ['cosine with float32 on the CPU, least', ...cosines],
    ['from start to ready, ms', ...measured.map(({ readyMs }) => readyMs.toFixed(0))],
  ];
  return `# Embeddings on a GPU

${gpuName()}, beside ${cpus()[0]?.model.trim()} (${cpus().length} cores, ${threads} threads used), Node ${process.version}. all-MiniLM-L6-v2.
Written by \`node bench/encoder/gpu.ts\`. Over HTTP; the CPU computes in 8-bit integers, GPUs as the file has it.

${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}

${measured.map(({ name, detail }) => `- ${name}: ${detail}`).join('\n')}
- auto: ${auto}
${failures.length === 0 ? '' : `\nNot run:\n\n${failures.join('\n')}\n`}`;
}

function cosineOf(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function gpuName(): string {
  try {
    const query = ['--query-gpu=name,driver_version', '--format=csv,noheader'];
    return execFileSync('nvidia-smi', query, { encoding: 'utf8' }).trim().replace(', ', ', driver ');
  } catch {
    return 'a GPU that nvidia-smi does not know';
  }
}

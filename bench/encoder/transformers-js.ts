/**
 * What one would write without a server: a process with transformers.js on the same graph, one text after the other. Prints
 * texts per second, milliseconds of processor time per text, and the vector of the first text.
 *
 *   node bench/encoder/transformers-js.ts DIRECTORY THREADS SECONDS CORPUS
 */
import { createRequire } from 'node:module';
import { basename, dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Corpus, texts } from './texts.ts';

/** What is used of transformers.js, which is installed here only. */
interface Package {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  pipeline(
    task: 'feature-extraction',
    model: string,
    options: object,
  ): Promise<(text: string, options: object) => Promise<{ tolist(): number[][] }>>;
}

const require = createRequire(import.meta.url);
const { env, pipeline }: Package = await import(
  pathToFileURL(require.resolve('@huggingface/transformers')).href
);
const [directory = '', threads = '1', seconds = '5', corpus = 'mixed'] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(directory));
const extract = await pipeline('feature-extraction', basename(directory), {
  subfolder: '',
  model_file_name: 'model',
  // The name of the file without an ending such as `_quantized`; what is in it stays int8.
  dtype: 'fp32',
  session_options: { intraOpNumThreads: Number(threads), interOpNumThreads: 1 },
});
const inputs = texts(512, corpus as Corpus);
const embed = (text: string) => extract(text, { pooling: 'mean', normalize: true });
const [first] = (await embed(inputs[0]!)).tolist();
for (const text of inputs.slice(0, 16)) await embed(text);
const startedAtMs = performance.now();
const usedBefore = process.cpuUsage();
let done = 0;
while (performance.now() - startedAtMs < Number(seconds) * 1000) await embed(inputs[done++ % inputs.length]!);
const { user, system } = process.cpuUsage(usedBefore);
const rate = (done / (performance.now() - startedAtMs)) * 1000;
process.stdout.write(`${JSON.stringify({ rate, cpuMs: (user + system) / 1000 / done, first })}\n`);

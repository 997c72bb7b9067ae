/** llama.cpp as node-llama-cpp ships it, its greedy sampling included: the library offers no step without. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import {
  DECODE_CONTEXT,
  DECODE_STEPS,
  type Figure,
  perSecond,
  readTask,
  report,
  someTokens,
} from './figures.ts';

/** What is used of the package, which is not installed with the project. */
interface LlamaSequence {
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  evaluate(tokens: readonly number[], options: { temperature: number }): AsyncIterable<number>;
  clearHistory(): Promise<void>;
}
interface LlamaContext {
  getSequence(): LlamaSequence;
  dispose(): Promise<void>;
}
interface LlamaModel {
  createContext(options: {
    sequences: number;
    contextSize: number;
    batchSize: number;
    threads: number;
  }): Promise<LlamaContext>;
}
interface Package {
  getLlama(options: { gpu: false; build: 'never'; logLevel: 'error' }): Promise<{
    loadModel(options: { modelPath: string }): Promise<LlamaModel>;
  }>;
}

const { model: modelPath, threads, batches, prompts } = readTask();
const { resolve } = createRequire(import.meta.url);
const { getLlama }: Package = await import(pathToFileURL(resolve('node-llama-cpp')).href);
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error' });
const model = await llama.loadModel({ modelPath });
const figures: Figure[] = [];

for (const length of prompts) {
  const context = await model.createContext({
    sequences: 1,
    contextSize: length + 8,
    batchSize: 512,
    threads,
  });
  const sequence = context.getSequence();
  await sequence.evaluateWithoutGeneratingNewTokens(someTokens(16, 9));
  await sequence.clearHistory();
  const startedAtMs = performance.now();
  await sequence.evaluateWithoutGeneratingNewTokens(someTokens(length, 0));
  figures.push({ name: `prompt ${length}`, tokensPerSecond: perSecond(length, startedAtMs) });
  await context.dispose();
}
for (const batch of batches) {
  const contextSize = DECODE_CONTEXT + DECODE_STEPS + 8;
  const context = await model.createContext({ sequences: batch, contextSize, batchSize: 512, threads });
  const sequences = Array.from({ length: batch }, () => context.getSequence());
  for (const [i, sequence] of sequences.entries())
    await sequence.evaluateWithoutGeneratingNewTokens(someTokens(DECODE_CONTEXT, i));
  const startedAtMs = performance.now();
  const counts = await Promise.all(sequences.map((sequence, i) => generate(sequence, 1_000 + i)));
  const tokens = counts.reduce((sum, count) => sum + count, 0);
  figures.push({ name: `decode ${batch}`, tokensPerSecond: perSecond(tokens, startedAtMs) });
  await context.dispose();
}
report(figures);
process.exit(0);

/** The number of tokens that came: an end-of-text token stops it early. */
async function generate(sequence: LlamaSequence, first: number): Promise<number> {
  let count = 0;
  for await (const _ of sequence.evaluate([first], { temperature: 0 })) if (++count === DECODE_STEPS) break;
  return count;
}

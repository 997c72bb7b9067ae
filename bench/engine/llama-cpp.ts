/** llama.cpp as this machine's compiler builds it, through its own benchmark program; no sampling. */
import { join } from 'node:path';
import { DECODE_CONTEXT, DECODE_STEPS, type Figure, type Task } from './figures.ts';
import { runToEnd } from './processes.ts';

interface BenchLine {
  readonly pp: number;
  readonly pl: number;
  readonly speed_pp: number;
  readonly speed_tg: number;
}

export async function measureLlamaCpp(binFolder: string, task: Task): Promise<Figure[]> {
  const { batches, prompts } = task;
  const decode = await batchedBench(binFolder, task, [DECODE_CONTEXT], DECODE_STEPS, batches);
  const prefill = await batchedBench(binFolder, task, prompts, 1, [1]);
  return [
    ...prefill.map(({ pp, speed_pp }) => ({ name: `prompt ${pp}`, tokensPerSecond: speed_pp })),
    ...decode.map(({ pl, speed_tg }) => ({ name: `decode ${pl}`, tokensPerSecond: speed_tg })),
  ];
}

async function batchedBench(
  binFolder: string,
  { model, threads }: Task,
  promptLengths: readonly number[],
  outputLength: number,
  batches: readonly number[],
): Promise<BenchLine[]> {
  if (promptLengths.length === 0 || batches.length === 0) return [];
  const contextTokens = Math.max(...batches) * (Math.max(...promptLengths) + outputLength);
  const output = await runToEnd([
    join(binFolder, 'llama-batched-bench'),
    ...[
      '--model',
      model,
      '--ctx-size',
      String(contextTokens),
      '--batch-size',
      '2048',
      '--ubatch-size',
      '512',
    ],
    ...['--threads', String(threads), '--threads-batch', String(threads), '--output-format', 'jsonl'],
    ...['-npp', promptLengths.join(), '-ntg', String(outputLength), '-npl', batches.join()],
  ]);
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}

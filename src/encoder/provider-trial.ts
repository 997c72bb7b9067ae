import type { EncoderRow } from '../../kernels/encoder/feeds.ts';
import { ProviderError } from '../../kernels/ort/provider-error.ts';
import type { ProviderName } from '../../kernels/ort/providers.ts';
import type { BatchRunner } from './encoder-loop.ts';

/** The best of so many counts, after one for what is compiled when it is first used. */
const TRIALS = 3;

/**
 * Throws ProviderError where a GPU takes longer than the CPU for one text and for several together: a small model is many short kernels,
 * and what a GPU has no kernel for waits for copies to and fro (MiniLM on an H100: CUDA 1.2 to 4 times as fast as 8 cores, WebGPU 0.2 to
 * 0.8 times). `now`: monotonic milliseconds.
 */
export async function assertFaster(
  name: ProviderName,
  runners: { readonly gpu: BatchRunner; readonly cpu: BatchRunner },
  texts: readonly EncoderRow[],
  now: () => number,
): Promise<void> {
  const timeOf = async (runner: BatchRunner) =>
    (await bestMs(runner, texts.slice(0, 1), now)) + (await bestMs(runner, texts, now));
  const [gpuMs, cpuMs] = [await timeOf(runners.gpu), await timeOf(runners.cpu)];
  if (gpuMs < cpuMs) return;
  throw new ProviderError(
    name,
    `it is slower than the CPU: texts that take it ${gpuMs.toFixed(0)} ms take the CPU ${cpuMs.toFixed(0)}`,
    'Choose another provider, or `auto`.',
  );
}

async function bestMs(runner: BatchRunner, rows: readonly EncoderRow[], now: () => number): Promise<number> {
  await runner.run(rows);
  let best = Number.POSITIVE_INFINITY;
  for (let trial = 0; trial < TRIALS; trial++) {
    const startedAtMs = now();
    await runner.run(rows);
    best = Math.min(best, now() - startedAtMs);
  }
  return best;
}

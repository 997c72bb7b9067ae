import { Worker } from 'node:worker_threads';

/** What a model may come to take, before anybody has seen it. */
export interface MemoryEstimate {
  /** As the graph holds them. */
  readonly weightsBytes: number;
  /** Of all slots, when they are full. */
  readonly kvBytes: number;
  /** What is kept of computed prompts, at most. */
  readonly prefixCacheBytes: number;
  /** The process, the runtime, and what is computed at one time. */
  readonly otherBytes: number;
  readonly totalBytes: number;
}

export interface EstimateQuestion {
  readonly kind: 'generator' | 'encoder';
  /** A GGUF file, or a directory. */
  readonly path: string;
  readonly slots: number;
  /** Undefined: what the engine takes by itself. */
  readonly contextTokens: number | undefined;
  readonly prefixCacheBytes: number;
  /** Generators: the weights are in memory twice, if they are small enough for that. */
  readonly speculation: boolean;
  /** Encoders: most tokens computed together. */
  readonly batchTokens: number;
  /** Encoders: computed in integers where that is close enough. */
  readonly integers: boolean;
}

/** The program is TypeScript or JavaScript, as this file is. */
const PROGRAM = import.meta.url.endsWith('.ts')
  ? new URL('./memory-estimate-worker.ts', import.meta.url)
  : new URL('./memory-estimate-worker.js', import.meta.url);

/**
 * Reads what the model's file says of itself, in a thread: its header alone takes a tenth of a second. Undefined for a file that
 * cannot be read, which is for the engine to say.
 */
export async function estimateMemory(question: EstimateQuestion): Promise<MemoryEstimate | undefined> {
  const { promise, resolve } = Promise.withResolvers<MemoryEstimate | undefined>();
  const worker = new Worker(PROGRAM, { workerData: question, stdout: true, stderr: true });
  worker.unref();
  worker.once('message', resolve);
  worker.once('error', () => resolve(undefined));
  worker.once('exit', () => resolve(undefined));
  return await promise;
}

/** `1.50 GiB`, `200 MiB` */
export function sizeText(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1000 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(2)} GiB`;
}

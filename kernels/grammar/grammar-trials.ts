import { Worker } from 'node:worker_threads';
import { GrammarError, GrammarTimeError } from './grammar-error.ts';
import type { GrammarText, GrammarVocabulary } from './token-grammars.ts';

export interface TrialQuestion {
  readonly text: GrammarText;
  readonly slowestStepMs: number;
}

/** `broken`: the worker's instance aborted and must not be used again. */
export type TrialAnswer =
  | { readonly ok: true }
  | { readonly ok: false; readonly broken: boolean; readonly reason: string };

export interface TrialLimits {
  /** For one grammar, compilation included, once the worker is ready. */
  readonly compileMs: number;
  /** For following one token. */
  readonly slowestStepMs: number;
  /** Grammars that may wait. */
  readonly queue: number;
  /** What took too long is tried again after this long. */
  readonly forgetMs: number;
}

export const LIMITS: TrialLimits = { compileMs: 3_000, slowestStepMs: 500, queue: 64, forgetMs: 60_000 };

/** The program is TypeScript or JavaScript, as this file is. */
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './trial-worker.ts' : './trial-worker.js',
  import.meta.url,
);

/** As long as a busy machine takes to start a thread and read a large vocabulary. */
const START_MS = 30_000;

/** Too many grammars wait to be tried, or nobody is there who could try them: to be asked again. */
export class TrialsBusyError extends Error {
  override readonly name = 'TrialsBusyError';
}

interface Waiting {
  readonly text: GrammarText;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Tries grammars in a worker thread before they are used. The library aborts on what it does not understand and takes as long
 * as it takes; there, neither ends anything but the worker, which is replaced. One at a time, in order.
 */
export class GrammarTrials {
  readonly #vocabulary: GrammarVocabulary;
  readonly #limits: TrialLimits;
  readonly #waiting: Waiting[] = [];
  #worker: Worker | undefined;
  #isOnline = false;
  #current: Waiting | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(vocabulary: GrammarVocabulary, limits: Partial<TrialLimits> = {}) {
    this.#vocabulary = vocabulary;
    this.#limits = { ...LIMITS, ...limits };
  }

  /** Rejects with GrammarError when the grammar must not be used, TrialsBusyError when too many wait. */
  attempt(text: GrammarText): Promise<void> {
    if (this.#waiting.length >= this.#limits.queue) return Promise.reject(new TrialsBusyError());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    for (const waiting of [this.#current, ...this.#waiting.splice(0)]) waiting?.reject(new TrialsBusyError());
    this.#current = undefined;
    await this.#replace();
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#current = next;
    this.#worker ??= this.#start();
    const { slowestStepMs } = this.#limits;
    this.#worker.postMessage({ text: next.text, slowestStepMs } satisfies TrialQuestion);
    this.#limitTime();
  }

  #start(): Worker {
    const worker = new Worker(PROGRAM, { workerData: this.#vocabulary, stdout: true, stderr: true });
    // An idle worker does not keep the process alive.
    worker.unref();
    this.#isOnline = false;
    worker.on('message', (answer: TrialAnswer | 'ready') => {
      if (worker !== this.#worker) return;
      if (answer === 'ready') {
        this.#isOnline = true;
        if (this.#current !== undefined) this.#limitTime();
      } else this.#answered(answer);
    });
    const died = (): void => {
      if (worker !== this.#worker) return;
      if (this.#isOnline) this.#answered({ ok: false, broken: true, reason: 'cannot be compiled' });
      else this.#giveUp(new TrialsBusyError());
    };
    worker.on('error', died);
    worker.on('exit', died);
    return worker;
  }

  #limitTime(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#isOnline
      ? setTimeout(
          () => this.#giveUp(new GrammarTimeError('takes too long to compile; make it smaller')),
          this.#limits.compileMs,
        )
      : setTimeout(() => this.#giveUp(new TrialsBusyError()), START_MS);
  }

  #giveUp(failure: Error): void {
    void this.#replace();
    this.#end(failure);
  }

  #answered(answer: TrialAnswer): void {
    if (!answer.ok && answer.broken) void this.#replace();
    this.#end(answer.ok ? undefined : new GrammarError(answer.reason));
  }

  #end(failure: Error | undefined): void {
    clearTimeout(this.#timer);
    const current = this.#current;
    this.#current = undefined;
    if (failure === undefined) current?.resolve();
    else current?.reject(failure);
    this.#next();
  }

  async #replace(): Promise<void> {
    clearTimeout(this.#timer);
    const worker = this.#worker;
    this.#worker = undefined;
    this.#isOnline = false;
    await worker?.terminate();
  }
}

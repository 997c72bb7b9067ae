import { Worker } from 'node:worker_threads';
import type { UsageReader } from '../api/usage-reader.ts';
import { AppError } from '../core/error.ts';
import type { DatabaseLocation } from '../store/location.ts';
import type { FromReader, Questions, ToReader } from './reader-messages.ts';

/** The program is TypeScript or JavaScript, as this file is. */
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './reader-thread.ts' : './reader-thread.js',
  import.meta.url,
);

/** Questions are answered one after the other; it is not worth waiting behind more than this. */
const MAX_WAITING = 16;

/** The thread waits this long for another question; it takes a fifth as much memory as the gateway. */
const IDLE_MS = 10_000;

interface Waiting {
  resolve(answer: Questions[keyof Questions]['answer']): void;
  reject(error: Error): void;
}

/**
 * Asks the ledger without holding up the thread that serves: SQLite works in the thread that asks it, and takes a second for a million
 * rows. The thread is there while somebody asks.
 */
export class LedgerReader implements UsageReader {
  readonly #location: DatabaseLocation;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #lastId = 0;
  #closed = false;

  constructor(location: DatabaseLocation) {
    this.#location = location;
  }

  /** @throws AppError `overloaded` where too many wait; Error where the database cannot be asked */
  usage(query: Questions['usage']['asked']): Promise<Questions['usage']['answer']> {
    if (this.#waiting.size >= MAX_WAITING)
      throw new AppError('overloaded', {
        message: 'Too many ask about usage at the moment; try again later.',
        retryAfterMs: 5_000,
      });
    return this.#ask('usage', query);
  }

  /** What has been spent on that day and in that month. @throws Error where the database cannot be asked */
  spentTotals(nowMs: number): Promise<Questions['spent']['answer']> {
    return this.#ask('spent', nowMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    await this.#worker?.terminate();
  }

  #ask<Q extends keyof Questions>(
    question: Q,
    asked: Questions[Q]['asked'],
  ): Promise<Questions[Q]['answer']> {
    if (this.#closed) return Promise.reject(new Error('The ledger is closed.'));
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Questions[Q]['answer']>();
    this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
    this.#worker.postMessage({ id, question, asked } satisfies ToReader);
    return promise;
  }

  #start(): Worker {
    const worker = new Worker(PROGRAM, { name: 'ledger-reader', workerData: this.#location });
    worker.unref();
    worker.on('message', (message: FromReader) => {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if ('problem' in message) waiting?.reject(new Error(message.problem));
      else waiting?.resolve(message.answer);
      if (this.#waiting.size === 0) this.#idle = setTimeout(() => this.#rest(), IDLE_MS).unref();
    });
    let problem = new Error('The thread that reads the ledger has ended.');
    worker.on('error', (error) => {
      problem = error as Error;
    });
    worker.on('exit', () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      for (const { reject } of this.#waiting.values()) reject(problem);
      this.#waiting.clear();
    });
    return worker;
  }

  #rest(): void {
    void this.#worker?.terminate();
    this.#worker = undefined;
  }
}

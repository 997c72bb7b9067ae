import { Worker } from 'node:worker_threads';
import type { DatabaseLocation } from '../store/location.ts';
import { isAlone } from './owner.ts';
import { type Offsets, segmentsOf, unreadBytes } from './segment.ts';
import type { FromWriter, ToWriter, WriterStart } from './writer-messages.ts';

export interface WriterOptions {
  readonly location: DatabaseLocation;
  /** Of the journals. */
  readonly dir: string;
  /** The one that is ours. */
  readonly journal: string;
  /** Whether nothing may come into the journal by itself. */
  readonly isQuiet: () => boolean;
  readonly onPassed: (passed: FromWriter & { readonly type: 'passed' }) => void;
  readonly onDied: (error: Error) => void;
  /** The thread ends after so many looks at which there was nothing to do. */
  readonly quietPasses?: number;
}

/** About 10 s: starting it again takes longer than a request, of which there may be one every few seconds. */
const QUIET_PASSES = 25;
const LOOK_MS = 5_000;
const FINISH_MS = 10_000;
const RESTART_MS = 1_000;
/** What it makes is soon garbage: with more room for that it would be no faster, and 10 MiB larger. */
const YOUNG_GENERATION_MB = 2;

/** The program is TypeScript or JavaScript, as this file is. */
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './writer-thread.ts' : './writer-thread.js',
  import.meta.url,
);

/**
 * The thread that brings journals into the database. It takes a fifth as much memory as the gateway, so it is there
 * only while there is something to bring in: a record of ours, or anything of others, which may die at any time.
 */
export class Writer {
  readonly #options: WriterOptions;
  readonly #look: NodeJS.Timeout;
  readonly #flushes = new Map<number, (problem: string | undefined) => void>();
  readonly #finished = Promise.withResolvers<boolean>();
  #worker: Worker | undefined;
  /** It is about to start. */
  #starting: NodeJS.Timeout | undefined;
  /** It no longer listens, and is about to end. */
  #isLeaving = false;
  /** There is something for the one after it. */
  #isWanted = false;
  #isFinishing = false;
  #quietPasses = 0;
  #lastFlush = 0;
  /** How far the last one has read. */
  #read: Offsets = new Map();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#look = setInterval(() => this.#lookForOthers(), LOOK_MS).unref();
    this.#lookForOthers();
  }

  get isAwake(): boolean {
    return this.#worker !== undefined;
  }

  /** To be called whenever there is something new in the journal. */
  wake(): void {
    this.#quietPasses = 0;
    if (this.#isAbsent) this.#start();
    else this.#isWanted ||= this.#isLeaving;
  }

  /** Resolves when everything written is in the database, or to why it is not. */
  flush(): Promise<string | undefined> {
    const { dir, journal } = this.#options;
    if (this.#isAbsent && this.#isAlone() && unreadBytes(dir, journal, this.#read) === 0)
      return Promise.resolve(undefined);
    const id = ++this.#lastFlush;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.#flushes.set(id, resolve);
    this.#send({ type: 'flush', id });
    return promise;
  }

  /** Resolves when all is in the database, or after a while without. @returns Whether nothing is left of our own journal */
  async finish(): Promise<boolean> {
    const { dir, journal } = this.#options;
    clearInterval(this.#look);
    if (this.#worker === undefined && segmentsOf(dir, journal).length === 0) {
      clearTimeout(this.#starting);
      return true;
    }
    this.#isFinishing = true;
    this.#send({ type: 'finish' });
    const timer = setTimeout(() => this.#finished.resolve(false), FINISH_MS);
    const isEmpty = await this.#finished.promise;
    clearTimeout(timer);
    await this.#worker?.terminate();
    return isEmpty;
  }

  #lookForOthers(): void {
    if (this.#isAbsent && !this.#isAlone()) this.#start();
  }

  /** It is neither there nor about to start. */
  get #isAbsent(): boolean {
    return this.#worker === undefined && this.#starting === undefined;
  }

  /** Nothing is in the folder but what is ours. */
  #isAlone(): boolean {
    const { dir, journal } = this.#options;
    try {
      return isAlone(dir, journal);
    } catch {
      // It tells why.
      return false;
    }
  }

  #start(): void {
    const { location, dir, journal } = this.#options;
    this.#isLeaving = false;
    this.#isWanted = false;
    this.#quietPasses = 0;
    const start: WriterStart = { location, dir, journal, read: this.#read };
    let worker: Worker;
    try {
      worker = new Worker(PROGRAM, {
        name: 'ledger-writer',
        workerData: start,
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      });
    } catch (error) {
      // The system has no thread to give.
      this.#died(error as Error);
      this.#startLater(RESTART_MS);
      return;
    }
    this.#worker = worker;
    let restartMs = 0;
    worker.unref();
    worker.on('message', (message: FromWriter) => this.#heard(message));
    worker.on('error', (error) => {
      this.#isLeaving = true;
      this.#isWanted = true;
      this.#read = new Map();
      restartMs = RESTART_MS;
      this.#died(error as Error);
    });
    worker.on('exit', () => {
      this.#worker = undefined;
      if (this.#isWanted) this.#startLater(restartMs);
    });
    for (const id of this.#flushes.keys()) this.#send({ type: 'flush', id });
    if (this.#isFinishing) this.#send({ type: 'finish' });
  }

  #died(error: Error): void {
    this.#options.onDied(error);
    for (const resolve of this.#flushes.values()) resolve(error.message);
    this.#flushes.clear();
    if (this.#isFinishing) this.#finished.resolve(false);
  }

  /** Whoever wants it in the meantime waits for that, too. */
  #startLater(afterMs: number): void {
    if (this.#isFinishing && afterMs > 0) return;
    this.#starting ??= setTimeout(() => {
      this.#starting = undefined;
      this.#start();
    }, afterMs).unref();
  }

  /** An order that nobody hears is given to the next thread as it starts. */
  #send(message: ToWriter): void {
    if (this.#worker === undefined || this.#isLeaving) this.wake();
    else this.#worker.postMessage(message);
  }

  #heard(message: FromWriter): void {
    switch (message.type) {
      case 'flushed':
        this.#flushes.get(message.id)?.(message.problem);
        this.#flushes.delete(message.id);
        return;
      case 'passed':
        this.#options.onPassed(message);
        this.#restWhenQuiet(message);
        return;
      case 'rested':
        this.#read = message.read;
        return;
      case 'finished':
        this.#finished.resolve(message.empty);
    }
  }

  #restWhenQuiet({ problem, backlogBytes, losses }: FromWriter & { readonly type: 'passed' }): void {
    const isWell = problem === undefined && losses.broken === 0 && losses.refused === 0;
    const isIdle = backlogBytes === 0 && this.#flushes.size === 0 && this.#options.isQuiet();
    this.#quietPasses = isWell && isIdle ? this.#quietPasses + 1 : 0;
    if (this.#quietPasses < (this.#options.quietPasses ?? QUIET_PASSES)) return;
    if (this.#isLeaving || this.#isFinishing || !this.#isAlone()) return;
    this.#send({ type: 'rest' });
    this.#isLeaving = true;
  }
}

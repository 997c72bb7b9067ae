import { Worker } from 'node:worker_threads';
import type { GatewayEvent, RequestAdmitted, RequestSettled } from '../core/event.ts';
import type { DatabaseLocation } from '../store/location.ts';
import { Journal } from './journal.ts';
import { type Claim, claimNew } from './owner.ts';
import { encodeRecord } from './record.ts';
import { rowsSoFar, type SettledWithCaller, settledRows } from './row.ts';
import type { FromWriter, LedgerLosses, ToWriter, WriterStart } from './writer-messages.ts';

export interface LedgerOptions {
  readonly location: DatabaseLocation;
  /** Of the journals. */
  readonly dir: string;
  /** Most that may be in journals and not in the database. */
  readonly maxBytes: number;
  /** Told once when rows cannot reach the database, once when they cannot even reach the disk, and once when they can again (undefined). */
  readonly onProblem?: (problem: string | undefined) => void;
  /** Told whenever it has become more. */
  readonly onLosses?: (losses: LedgerLosses) => void;
  /** Unix milliseconds. */
  readonly wall?: () => number;
}

interface OpenRequest {
  /** Undefined: it has ended. */
  event: RequestAdmitted | undefined;
  /** The look with which it is to be written down as it is then. */
  dueAtLook: number;
}

const LOOK_MS = 50;
/** A running request is written down as it would have to be settled then: for the first time after so many looks, since most have ended by then … */
const FIRST_NOTE_LOOKS = 2;
/** … and then as often; less so where many run, since it costs as much as to settle one. */
const NOTE_LOOKS = 4;
const NOTE_LOOKS_OF_MANY = 10;
const MANY = 64;
const FINISH_MS = 10_000;
const RESTART_MS = 1_000;

/** The program is TypeScript or JavaScript, as this file is. */
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './writer-thread.ts' : './writer-thread.js',
  import.meta.url,
);

/**
 * What every attempt of every caller used and cost, once each, whatever happens meanwhile:
 *
 *   runs, ended ──▶ journal (file, at once) ──▶ thread ──▶ database (within a second)
 *
 * A killed process leaves its journal to the next one. A database that is away lets journals grow, up to a bound; then `isFull`, and whoever
 * admits requests must not admit any more: nothing is given away unrecorded.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #wall: () => number;
  readonly #claim: Claim;
  readonly #journal: Journal;
  #worker: Worker;
  readonly #open = new Map<string, OpenRequest>();
  readonly #flushes = new Map<number, (problem: string | undefined) => void>();
  readonly #progress: NodeJS.Timeout;
  readonly #finished = Promise.withResolvers<void>();
  #lastFlush = 0;
  #problem: string | undefined;
  #toldState: 'well' | 'behind' | 'stuck' = 'well';
  #journalProblem: string | undefined;
  #databaseProblem: string | undefined;
  #backlogBytes = 0;
  #losses: LedgerLosses = { broken: 0, refused: 0, refusedPath: undefined };
  #looks = 0;
  #isEmpty = false;
  #closing = false;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#wall = options.wall ?? Date.now;
    const { dir } = options;
    this.#claim = claimNew(dir);
    this.#journal = new Journal({
      dir,
      name: this.#claim.name,
      onProblem: (problem) => {
        this.#journalProblem = problem && `the journal in ${dir} cannot be written: ${problem.message}`;
        this.#tell();
      },
    });
    this.#worker = this.#startWriter();
    this.#progress = setInterval(() => this.#noteProgress(), LOOK_MS).unref();
  }

  /** Why rows do not reach the database, or not even the disk. Requests are recorded all the same, as long as `isFull` is false. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Of this process, and of those whose journals it has taken over. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  get losses(): LedgerLosses {
    return this.#losses;
  }

  /** There is no room to record another request. */
  get isFull(): boolean {
    return this.#journalProblem !== undefined || this.#backlogBytes >= this.#options.maxBytes;
  }

  /** To be told everything. */
  readonly observe = (event: GatewayEvent): void => {
    if (event.type === 'request-admitted') {
      this.#open.set(event.settlementId, { event, dueAtLook: this.#looks + FIRST_NOTE_LOOKS });
    } else if (event.type === 'request-settled') {
      // A request that was refused has not begun, and uses nothing.
      if (!hasCaller(event) || !this.#forget(event.settlementId)) return;
      this.#journal.add(encodeRecord('settled', event.settlementId, settledRows(event, this.#wall())));
    }
  };

  /**
   * @returns Whether it was open. A map whose entries come and go leaves tables behind, and what was in them stays until they are collected,
   * with all that it holds on to: a request's whole life. So what was in it is emptied, too.
   */
  #forget(settlementId: string): boolean {
    const request = this.#open.get(settlementId);
    if (request === undefined) return false;
    request.event = undefined;
    return this.#open.delete(settlementId);
  }

  /** Resolves when all that was observed is in the database, or to why it is not. */
  flush(): Promise<string | undefined> {
    this.#journal.write();
    const id = ++this.#lastFlush;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.#flushes.set(id, resolve);
    this.#send({ type: 'flush', id });
    return promise;
  }

  /** Resolves when all is in the database; or after a while without, in which case the journal keeps it. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#progress);
    this.#journal.close();
    this.#send({ type: 'finish' });
    const timer = setTimeout(() => this.#finished.resolve(), FINISH_MS);
    await this.#finished.promise;
    clearTimeout(timer);
    await this.#worker.terminate();
    this.#claim.release(this.#isEmpty);
  }

  #startWriter(): Worker {
    const { location, dir } = this.#options;
    const start: WriterStart = { location, dir, journal: this.#claim.name };
    const worker = new Worker(PROGRAM, { workerData: start });
    worker.unref();
    worker.on('message', (message: FromWriter) => this.#heard(message));
    worker.on('error', (error) => {
      this.#databaseProblem = `the thread that writes the ledger has died: ${error.message}`;
      this.#tell();
      for (const resolve of this.#flushes.values()) resolve(this.#databaseProblem);
      this.#flushes.clear();
      if (this.#closing) this.#finished.resolve();
      else setTimeout(() => this.#restartWriter(), RESTART_MS).unref();
    });
    return worker;
  }

  #restartWriter(): void {
    if (!this.#closing) this.#worker = this.#startWriter();
  }

  #noteProgress(): void {
    // What waits for a disk is kept small: it says less about the same requests, and none is admitted.
    if (this.#journal.isFailing) return;
    this.#looks += 1;
    const pause = this.#open.size > MANY ? NOTE_LOOKS_OF_MANY : NOTE_LOOKS;
    for (const [settlementId, request] of this.#open) {
      if (request.event === undefined || request.dueAtLook > this.#looks) continue;
      request.dueAtLook = this.#looks + pause;
      this.#journal.add(encodeRecord('open', settlementId, rowsSoFar(request.event, this.#wall())));
    }
  }

  #send(message: ToWriter): void {
    this.#worker.postMessage(message);
  }

  #heard(message: FromWriter): void {
    switch (message.type) {
      case 'flushed':
        this.#flushes.get(message.id)?.(message.problem);
        this.#flushes.delete(message.id);
        return;
      case 'passed':
        this.#backlogBytes = message.backlogBytes;
        this.#databaseProblem = message.problem;
        this.#tell();
        this.#tellLosses(message.losses);
        return;
      case 'finished':
        this.#isEmpty = message.empty;
        this.#finished.resolve();
    }
  }

  #tellLosses(losses: LedgerLosses): void {
    const before = this.#losses;
    this.#losses = losses;
    const isFound = losses.refusedPath !== undefined && before.refusedPath === undefined;
    if (losses.broken > before.broken || losses.refused > before.refused || isFound)
      this.#options.onLosses?.(losses);
  }

  #tell(): void {
    this.#problem = this.#journalProblem ?? this.#databaseProblem;
    const state =
      this.#problem === undefined ? 'well' : this.#problem === this.#journalProblem ? 'stuck' : 'behind';
    if (state !== this.#toldState) this.#options.onProblem?.(this.#problem);
    this.#toldState = state;
  }
}

function hasCaller(event: RequestSettled): event is SettledWithCaller {
  return event.caller !== undefined;
}

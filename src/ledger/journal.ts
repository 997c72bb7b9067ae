import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { encodeRecord, type JournalRecord } from './record.ts';
import type { LedgerRow } from './row.ts';
import { segmentPath } from './segment.ts';

const RETRY_MS = 500;
const SEGMENT_BYTES = 4 * 1024 * 1024;

export interface JournalOptions {
  readonly dir: string;
  readonly name: string;
  /** Told once when nothing can be written, and once when it can again (undefined). What waits is kept in memory meanwhile. */
  readonly onProblem: (problem: Error | undefined) => void;
  /** Larger files are followed by new ones. */
  readonly segmentBytes?: number;
}

/**
 * The end of a journal that this process writes: a line for each record, in files of bounded size, one write for each turn of the event loop.
 * What is written stays when the process is killed. Others read it (`drain.ts`); a file that the next one has followed is not written any more.
 */
export class Journal {
  readonly #options: Required<JournalOptions>;
  #lines: string[] = [];
  #isDue = false;
  #retry: NodeJS.Timeout | undefined;
  #fd: number | undefined;
  #number = 0;
  #sizeBytes = 0;

  constructor(options: JournalOptions) {
    this.#options = { segmentBytes: SEGMENT_BYTES, ...options };
  }

  /** Nothing could be written the last time. */
  get isFailing(): boolean {
    return this.#retry !== undefined;
  }

  add(type: JournalRecord['type'], settlementId: string, rows: readonly LedgerRow[]): void {
    this.#lines.push(encodeRecord(type, settlementId, rows));
    if (this.#isDue || this.#retry !== undefined) return;
    this.#isDue = true;
    setImmediate(this.write);
  }

  /** Now. */
  readonly write = (): void => {
    this.#isDue = false;
    if (this.#lines.length === 0) return;
    try {
      this.#fd ??= this.#open();
      this.#append(this.#lines.join(''));
    } catch (error) {
      this.#failed(error as Error);
      return;
    }
    this.#lines = [];
    if (this.isFailing) {
      clearInterval(this.#retry);
      this.#retry = undefined;
      this.#options.onProblem(undefined);
    }
    if (this.#sizeBytes >= this.#options.segmentBytes) this.#end();
  };

  close(): void {
    this.write();
    clearInterval(this.#retry);
    this.#end();
  }

  #append(text: string): void {
    const sizeBytes = Buffer.byteLength(text);
    let written = writeSync(this.#fd!, text);
    if (written < sizeBytes) {
      const bytes = Buffer.from(text);
      while (written < sizeBytes) written += writeSync(this.#fd!, bytes, written);
    }
    this.#sizeBytes += sizeBytes;
  }

  #failed(error: Error): void {
    this.#takeBack();
    if (this.isFailing) return;
    this.#retry = setInterval(this.write, RETRY_MS);
    this.#options.onProblem(error);
  }

  /** What is there in part is written again, as a whole. */
  #takeBack(): void {
    try {
      if (this.#fd !== undefined) ftruncateSync(this.#fd, this.#sizeBytes);
    } catch {
      // Readers leave out a broken line; twice the same is once to them.
      this.#end();
    }
  }

  #open(): number {
    const { dir, name } = this.#options;
    const fd = openSync(segmentPath(dir, name, this.#number + 1), 'ax', 0o600);
    this.#number += 1;
    this.#sizeBytes = 0;
    return fd;
  }

  #end(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

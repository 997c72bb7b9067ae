import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { thisProcess } from './owner.ts';
import { encodeRecord, type JournalRecord } from './record.ts';
import { segmentOf } from './segment.ts';

/** What was added is with the system after so long, where a killed process does not take it along. */
const WRITE_MS = 2;
const SEGMENT_BYTES = 4 * 1024 * 1024;

/**
 * The end of a journal that this process writes: a line for each record, in files of bounded size. What has been written is read by others
 * (`drain.ts`); a file that the next one has followed is not written any more.
 */
export class Journal {
  readonly #dir: string;
  readonly #owner = thisProcess();
  readonly #onProblem: (problem: Error | undefined) => void;
  #lines: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #fd: number | undefined;
  #number = 0;
  #sizeBytes = 0;
  #failed = false;

  /** @param onProblem Told once when nothing can be written, and once when it can again (undefined). What waits is kept in memory meanwhile. */
  constructor(dir: string, onProblem: (problem: Error | undefined) => void) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#dir = dir;
    this.#onProblem = onProblem;
  }

  /** Added, and not yet written. */
  get waiting(): number {
    return this.#lines.length;
  }

  add(record: JournalRecord): void {
    this.#lines.push(encodeRecord(record));
    this.#timer ??= setTimeout(() => this.write(), this.#failed ? RETRY_MS : WRITE_MS);
  }

  /** Now. */
  write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines.length === 0) return;
    try {
      this.#fd ??= this.#open();
      this.#append(Buffer.from(this.#lines.join('')));
      this.#lines = [];
      this.#tell(undefined);
      if (this.#sizeBytes >= SEGMENT_BYTES) this.#next();
    } catch (error) {
      // A line that is there in part is broken for whoever reads it, so that the next file begins anew.
      this.#next();
      this.#tell(error as Error);
      this.#timer = setTimeout(() => this.write(), RETRY_MS);
    }
  }

  close(): void {
    this.write();
    clearTimeout(this.#timer);
    this.#next();
  }

  #append(bytes: Buffer): void {
    let from = 0;
    while (from < bytes.length) from += writeSync(this.#fd!, bytes, from);
    this.#sizeBytes += bytes.length;
  }

  #open(): number {
    this.#number += 1;
    this.#sizeBytes = 0;
    return openSync(segmentOf(this.#dir, this.#owner, this.#number).path, 'a', 0o600);
  }

  #next(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  #tell(problem: Error | undefined): void {
    const failed = problem !== undefined;
    if (failed !== this.#failed) this.#onProblem(problem);
    this.#failed = failed;
  }
}

const RETRY_MS = 500;

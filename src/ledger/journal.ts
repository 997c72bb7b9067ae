import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { inodeOf } from '../core/inode.ts';
import { recordSoon } from '../core/write-batch.ts';
import type { JournalRecord } from './block.ts';
import { BlockWriter } from './block-writer.ts';
import { makeJournalFolder } from './owner.ts';
import { segmentPath } from './segment.ts';

const RETRY_MS = 500;
const SEGMENT_BYTES = 4 * 1024 * 1024;
/** Hardly more than this is written at once, so that a reader need not hold more; a single record is much smaller. */
const BLOCK_BYTES = 64 * 1024;

export interface JournalOptions {
  readonly dir: string;
  readonly name: string;
  /**
   * Called once when nothing can be written, and once when it can again (undefined). In between, what waits is kept
   * in memory.
   */
  readonly onProblem: (problem: Error | undefined) => void;
  /** Larger files are followed by new ones. */
  readonly segmentBytes?: number;
}

/**
 * The end of a journal that this process writes: in files of bounded size, and with one write for all that is added at once.
 * What is written stays when the process is killed. Others read it (`drain.ts`); a file that has been followed by
 * the next one is not written any more.
 */
export class Journal {
  readonly #options: Required<JournalOptions>;
  /** Blocks that wait, and behind them the one that is being made. */
  readonly #full: Buffer[] = [];
  readonly #last = new BlockWriter();
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

  add(record: JournalRecord): void {
    this.#last.add(record);
    if (this.#last.sizeBytes > BLOCK_BYTES) {
      this.#full.push(Buffer.copyBytesFrom(this.#last.finish()));
      this.#last.clear();
    }
    if (this.#isDue || this.#retry !== undefined) return;
    this.#isDue = true;
    recordSoon(this.write);
  }

  /** Now. */
  readonly write = (): void => {
    this.#isDue = false;
    if (this.#last.isEmpty && this.#full.length === 0) return;
    try {
      while (this.#full.length > 0) {
        this.#append(this.#full[0]!);
        this.#full.shift();
      }
      if (!this.#last.isEmpty) this.#append(this.#last.finish());
      this.#last.clear();
    } catch (error) {
      this.#failed(error as Error);
      return;
    }
    if (this.isFailing) {
      clearInterval(this.#retry);
      this.#retry = undefined;
      this.#options.onProblem(undefined);
    }
  };

  /**
   * Readers go by names: what is in a file that somebody has removed, moved away or cut is written again, in a new one. It is as if a block came
   * twice.
   */
  renew(): void {
    if (this.#fd === undefined || this.#isAsWritten(this.#fd)) return;
    try {
      this.#full.unshift(contentOf(this.#fd));
    } finally {
      this.#end();
    }
    this.write();
  }

  close(): void {
    this.write();
    clearInterval(this.#retry);
    this.#end();
  }

  #append(block: Buffer): void {
    this.#fd ??= this.#open();
    const sizeBytes = block.length;
    for (let written = 0; written < sizeBytes; )
      written += writeSync(this.#fd, block, written, sizeBytes - written);
    this.#sizeBytes += sizeBytes;
    if (this.#sizeBytes >= this.#options.segmentBytes) this.#end();
  }

  #failed(error: Error): void {
    this.#takeBack();
    if (this.isFailing) return;
    this.#retry = setInterval(this.write, RETRY_MS);
    this.#options.onProblem(error);
  }

  /** A block of which a part has been written is written again, as a whole. */
  #takeBack(): void {
    try {
      if (this.#fd !== undefined) ftruncateSync(this.#fd, this.#sizeBytes);
    } catch {
      // Readers skip a broken block, and count the same block only once.
      this.#end();
    }
  }

  #isAsWritten(fd: number): boolean {
    const { dir, name } = this.#options;
    const { ino, size } = fstatSync(fd);
    return inodeOf(segmentPath(dir, name, this.#number)) === ino && size >= this.#sizeBytes;
  }

  #open(): number {
    const { dir, name } = this.#options;
    makeJournalFolder(dir);
    const fd = openSync(segmentPath(dir, name, this.#number + 1), 'ax+', 0o600);
    this.#number += 1;
    this.#sizeBytes = 0;
    return fd;
  }

  #end(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** @throws Error of the system */
function contentOf(fd: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  let read = 0;
  for (let more = 1; more > 0 && read < bytes.length; read += more)
    more = readSync(fd, bytes, read, bytes.length - read, read);
  return bytes.subarray(0, read);
}

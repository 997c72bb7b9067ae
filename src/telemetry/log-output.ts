import { write, writeSync } from 'node:fs';
import type { DestinationStream } from 'pino';

/** This much is written at once, or what there is after this long: a write per line would cost more than the request. */
const BATCH_CHARACTERS = 8 * 1024;
const BATCH_MS = 100;
/** The most that waits to be written; lines beyond it are dropped. */
const MOST_WAITING_CHARACTERS = 4 * 1024 * 1024;
/** When the process ends: how often a full pipe is tried, and the pause between two tries. */
const LAST_TRIES = 20;
const LAST_PAUSE_MS = 10;

/**
 * Writes log lines to a file descriptor. Lines that cannot be written (a full disk, a terminal or a reader that has gone)
 * wait up to a bound and are dropped beyond it. The gateway keeps serving, and the process can end: pino's own
 * destination retries for ever at exit.
 */
export class LogOutput implements DestinationStream {
  readonly #fd: number;
  #waiting = '';
  /** Being written, or to be tried again. */
  #batch: Buffer | undefined;
  #underWay = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(fd: number) {
    this.#fd = fd;
    process.once('exit', () => this.flushSync());
  }

  write(line: string): void {
    if (this.#waiting.length + line.length > MOST_WAITING_CHARACTERS) return;
    this.#waiting += line;
    if (this.#waiting.length >= BATCH_CHARACTERS && this.#batch === undefined) this.#begin();
    else this.#later();
  }

  /** Writes what it can without waiting long. */
  flushSync(): void {
    // The operating system already has what is being written.
    const rest = this.#underWay ? Buffer.alloc(0) : (this.#batch ?? Buffer.alloc(0));
    writeWhatGoes(this.#fd, Buffer.concat([rest, Buffer.from(this.#waiting)]));
    this.#waiting = '';
    if (!this.#underWay) this.#batch = undefined;
  }

  #later(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#begin();
    }, BATCH_MS).unref();
  }

  #begin(): void {
    if (this.#underWay) return;
    if (this.#batch === undefined) {
      if (this.#waiting === '') return;
      this.#batch = Buffer.from(this.#waiting);
      this.#waiting = '';
    }
    this.#underWay = true;
    write(this.#fd, this.#batch, (error, written) => {
      this.#underWay = false;
      if (error !== null) return this.#later();
      const rest = this.#batch!.subarray(written);
      this.#batch = rest.length > 0 ? rest : undefined;
      if (this.#batch !== undefined || this.#waiting.length >= BATCH_CHARACTERS) this.#begin();
      else if (this.#waiting !== '') this.#later();
    });
  }
}

function writeWhatGoes(fd: number, bytes: Buffer): void {
  let rest = bytes;
  for (let tries = LAST_TRIES; rest.length > 0 && tries > 0; ) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      tries -= 1;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_PAUSE_MS);
    }
  }
}

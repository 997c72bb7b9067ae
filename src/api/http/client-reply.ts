import type { ServerResponse } from 'node:http';
import type { RelaySink } from '../../core/backend.ts';

/** Less than this is in the hands of the operating system soon, whatever the client does. */
const LARGE_REST_BYTES = 64 * 1024;

/** The way back to one client, written to directly: web streams would cost about half of the throughput. */
export class ClientReply implements RelaySink {
  readonly #outgoing: ServerResponse;
  readonly #stallMs: number;
  readonly #gone = new AbortController();

  /** @param stallMs A client that takes nothing of what is ready for it for so long is cut off. */
  constructor(outgoing: ServerResponse, stallMs: number) {
    this.#outgoing = outgoing;
    this.#stallMs = stallMs;
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) this.#gone.abort();
    });
    // A write after the client left fails with an error event; `close` follows and says all that matters.
    outgoing.on('error', ignore);
  }

  /** Aborted when the client goes away before the reply has ended. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** Status and headers are on their way. */
  get started(): boolean {
    return this.#outgoing.headersSent;
  }

  start(status: number, headers: Readonly<Record<string, string>>): void {
    this.#outgoing.writeHead(status, headers);
  }

  write(chunk: Uint8Array | string): boolean {
    return this.#outgoing.write(chunk);
  }

  drained(): Promise<void> {
    const outgoing = this.#outgoing;
    if (!outgoing.writableNeedDrain || outgoing.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const stalled = this.#cutOffLater();
      const done = () => {
        clearTimeout(stalled);
        outgoing.off('drain', done);
        outgoing.off('close', done);
        resolve();
      };
      outgoing.on('drain', done);
      outgoing.on('close', done);
    });
  }

  end(chunk?: Uint8Array | string): void {
    const outgoing = this.#outgoing;
    outgoing.end(chunk);
    if (outgoing.writableLength < LARGE_REST_BYTES) return;
    const stalled = this.#cutOffLater();
    outgoing.once('close', () => clearTimeout(stalled));
  }

  /** Breaks the connection off, so that a client cannot take a torn reply for a whole one. */
  destroy(): void {
    this.#outgoing.destroy();
  }

  #cutOffLater(): NodeJS.Timeout {
    return setTimeout(() => this.#outgoing.destroy(), this.#stallMs).unref();
  }
}

function ignore(): void {}

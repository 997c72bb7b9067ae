import type { Socket } from 'node:net';

/** Node's handle of a connection: what was given to the system, and how much of that the system has not taken yet. */
type WatchedSocket = Socket & {
  readonly _handle?: { readonly bytesWritten: number; readonly writeQueueSize: number } | null;
};

/**
 * Tells for how long a client has taken nothing of what is written to its connection, whoever writes it. Whoever takes a little now
 * and then is only slow. To be asked every now and then.
 */
export class StallWatch {
  readonly #socket: WatchedSocket;
  /** What the system had taken of what was written, and since when it is no more than that. */
  #sentBytes = 0;
  #sinceMs = performance.now();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** 0: nothing waits for the client. What waits is more than the system had room for. */
  stalledMs(nowMs: number): number {
    const { _handle: handle, writableLength } = this.#socket;
    const sentBytes = handle ? handle.bytesWritten - handle.writeQueueSize : 0;
    if (writableLength === 0 || sentBytes !== this.#sentBytes) {
      this.#sentBytes = sentBytes;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs;
  }
}

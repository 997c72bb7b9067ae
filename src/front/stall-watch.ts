import type { Socket } from 'node:net';
import { takenBytes } from '../core/taken-bytes.ts';

/**
 * Tells for how long a client has taken nothing of what is written to its connection, whoever writes it. Whoever takes a little now
 * and then is only slow. To be asked every now and then.
 */
export class StallWatch {
  readonly #socket: Socket;
  /** What the system had taken of what was written, and since when it is no more than that. */
  #sentBytes = 0;
  #sinceMs = performance.now();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** 0: nothing waits for the client. What waits is more than the system had room for. */
  stalledMs(nowMs: number): number {
    const sentBytes = takenBytes(this.#socket);
    if (this.#socket.writableLength === 0 || sentBytes !== this.#sentBytes) {
      this.#sentBytes = sentBytes;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs;
  }
}

import { Socket } from 'node:net';
import { encodeFrame, FrameReader } from './frame.ts';
import type { LoadFailed } from './protocol.ts';

/**
 * A model process's side of the socket to the gateway that started it. The process ends when the socket closes, which is how
 * it learns that the gateway has died.
 */
export class GatewayLink<Out> {
  readonly #socket = new Socket({ fd: 3 });

  /** @param title Names the process in `ps`. */
  constructor(title: string) {
    // A signal to the whole process group is the gateway's to handle: it lets running requests finish first.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => {});
    process.title = title;
    // Whichever comes first when the gateway is gone.
    for (const event of ['end', 'error', 'close']) this.#socket.on(event, () => process.exit(0));
  }

  /** Bytes that the gateway has not read yet. */
  get unreadBytes(): number {
    return this.#socket.writableLength;
  }

  listen<In>(handle: (message: In) => void): void {
    const reader = new FrameReader();
    this.#socket.on('data', (chunk: Buffer) => {
      for (const message of reader.push(chunk)) handle(message as In);
    });
  }

  send(message: Out): void {
    this.#socket.write(encodeFrame(message));
  }

  /** Resolves when the gateway has read everything. */
  drained(): Promise<void> {
    return new Promise((resolve) => this.#socket.once('drain', resolve));
  }

  /**
   * Tells why the model cannot be loaded, and ends the process.
   *
   * @param permanent Errors that will come again until a file or a setting changes.
   */
  refuse(error: unknown, permanent: readonly (abstract new (...args: never) => Error)[]): void {
    const message: LoadFailed = {
      type: 'failed',
      detail: error instanceof Error ? error.message : String(error),
      permanent: permanent.some((type) => error instanceof type),
    };
    this.#socket.end(encodeFrame(message), () => process.exit(1));
  }
}

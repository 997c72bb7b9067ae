import type { Socket } from 'node:net';

/** Node's handle of a connection: what was given to the system, and how much of that the system has not taken yet. */
type WatchedSocket = Socket & {
  readonly _handle?: { readonly bytesWritten: number; readonly writeQueueSize: number } | null;
};

/**
 * How much of what was written to a connection the system has taken. It takes more as the other side reads, but not in
 * small steps: where it has let its buffer grow to megabytes, a third of that has to be read first.
 */
export function takenBytes(socket: Socket): number {
  const { _handle: handle } = socket as WatchedSocket;
  return handle ? handle.bytesWritten - handle.writeQueueSize : 0;
}

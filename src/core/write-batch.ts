import { throwLater } from './throw-later.ts';

/** Something to be written to a socket. */
export interface Writer {
  writeNow(): void;
}

let pending: Writer[] = [];

/**
 * Collects the writes of one turn of the event loop and does them at its end: a write wakes the reader at the other end, which costs
 * more than the write. One that throws fails by itself, as if it had been alone in the turn.
 */
export function writeSoon(writer: Writer): void {
  if (pending.push(writer) === 1) setImmediate(writeAll);
}

function writeAll(): void {
  const writers = pending;
  pending = [];
  for (const writer of writers) {
    try {
      writer.writeNow();
    } catch (error) {
      throwLater(error);
    }
  }
}

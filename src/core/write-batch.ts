/** Something to be written to a socket. */
export interface Writer {
  writeNow(): void;
}

let pending: Writer[] = [];

/**
 * Does the writes of one turn of the event loop together, at its end. To write wakes whoever reads at the other end, which costs
 * more than all else about it; those who are awake already, and are written to next, cost little.
 */
export function writeSoon(writer: Writer): void {
  if (pending.push(writer) === 1) setImmediate(writeAll);
}

function writeAll(): void {
  const writers = pending;
  pending = [];
  for (const writer of writers) writer.writeNow();
}

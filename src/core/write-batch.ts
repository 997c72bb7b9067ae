import { throwLater } from './throw-later.ts';

/** Something to be written to a socket. */
export interface Writer {
  /** The turn of the event loop is at its end. */
  writeNow(): void;
}

let pending: Writer[] = [];
let records: (() => void)[] = [];
/** The last turn that had writers had only one. */
let isCalm = true;

/**
 * Collects the writes of one turn of the event loop and does them at its end: a write wakes the reader at the other
 * end, which costs more than the write. One that throws fails alone, as if it had been the turn's only one.
 *
 * @returns Whether to write at once had better be preferred: the writer is the turn's first and probably its only one, so that nothing would
 *   be spared, and what there still is to do in this turn would be waited for. It is called at the end of the turn all the same.
 */
export function writeSoon(writer: Writer): boolean {
  if (pending.push(writer) > 1) return false;
  if (records.length === 0) setImmediate(endTurn);
  return isCalm;
}

/** Takes something down at the end of the turn, before anything that waits there is written: who reads that finds it on record, even if this process is killed. */
export function recordSoon(record: () => void): void {
  if (records.push(record) === 1 && pending.length === 0) setImmediate(endTurn);
}

/**
 * Takes down now what there is to be taken down, if that is all that the writer waits for, in a turn that is calm.
 *
 * @returns Whether it did, so that what the writer has may be written.
 */
export function recordFor(writer: Writer): boolean {
  if (!isCalm || pending.length !== 1 || pending[0] !== writer) return false;
  takeDown();
  return true;
}

function takeDown(): void {
  // Also what comes meanwhile.
  for (const record of records) {
    try {
      record();
    } catch (error) {
      throwLater(error);
    }
  }
  records = [];
}

function endTurn(): void {
  takeDown();
  const writers = pending;
  pending = [];
  if (writers.length > 0) isCalm = writers.length === 1;
  for (const writer of writers) {
    try {
      writer.writeNow();
    } catch (error) {
      throwLater(error);
    }
  }
}

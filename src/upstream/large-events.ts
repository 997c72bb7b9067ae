const MIB = 1024 * 1024;
/** Nearly all events are far smaller, and not counted. */
const USUAL_BYTES = MIB;
const MOST_BYTES = 64 * MIB;

/** A stream that an event comes over. */
export interface LargeEventHolder {
  /** There is room for more of the event. */
  goOn(): void;
}

/** In the order in which their events became large. */
const holders = new Map<LargeEventHolder, number>();
let bytesOfAll = 0;

/**
 * Bounds what all streams of the process hold of unfinished large events: pictures, which may have many MB each. Where there is no room
 * the streams wait, but for the first, so that events end one after the other.
 *
 * @param heldBytes Of its unfinished event.
 * @returns Whether the stream may go on; otherwise it is told when.
 */
export function holdEvent(holder: LargeEventHolder, heldBytes: number): boolean {
  if (heldBytes <= USUAL_BYTES) {
    dropEvent(holder);
    return true;
  }
  bytesOfAll += heldBytes - (holders.get(holder) ?? 0);
  holders.set(holder, heldBytes);
  return bytesOfAll < MOST_BYTES || isFirst(holder);
}

/** Nothing is held any more. */
export function dropEvent(holder: LargeEventHolder): void {
  const heldBytes = holders.get(holder);
  if (heldBytes === undefined) return;
  holders.delete(holder);
  bytesOfAll -= heldBytes;
  for (const other of holders.keys()) {
    other.goOn();
    if (bytesOfAll >= MOST_BYTES) break;
  }
}

function isFirst(holder: LargeEventHolder): boolean {
  return holders.keys().next().value === holder;
}

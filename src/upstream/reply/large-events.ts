import type { RelaySink } from '../../core/backend.ts';

const MIB = 1024 * 1024;
/** Nearly all events are far smaller, and not counted. */
const USUAL_BYTES = MIB;
const MOST_BYTES = 64 * MIB;

/** While others wait, a client has this long to take its event. */
const TAKEN_WITHIN_MS = 10_000;
/** While others wait, the first has this long to come to its end. */
const ENDED_WITHIN_MS = 30_000;
const LOOK_MS = 100;

/** A stream that an event comes over. */
export interface LargeEventHolder {
  /** There is room for more of the event. */
  goOn(): void;
  /** Others have waited for the event to end for too long. */
  giveUp(waitedMs: number): void;
}

/** A whole event that its client has yet to take. */
interface Untaken {
  readonly sink: RelaySink;
  readonly sizeBytes: number;
  readonly sinceMs: number;
}

/** Unfinished events, in the order in which they became large. */
const unfinished = new Map<LargeEventHolder, number>();
let unfinishedBytes = 0;
/** Of the streams among them, those that are held up. */
const waiting = new Set<LargeEventHolder>();
let waitingSinceMs = 0;
/** The first of the unfinished ones, and since when it is. */
let first: LargeEventHolder | undefined;
let firstSinceMs = 0;
let untaken: Untaken[] = [];
let untakenBytes = 0;
let timer: NodeJS.Timeout | undefined;

/**
 * Bounds what all streams of the process hold of large events: pictures, which may have many MB each. Counted is what
 * has not come to its end, and then what a client is slow to take. Where there is no room the streams wait, but for
 * the first, so that events end one after the other; where clients alone take up all of it, the first waits, too.
 * Nobody keeps the others for long: see `look`.
 *
 * @param heldBytes Of its unfinished event.
 * @returns Whether the stream may go on; otherwise it is told when.
 */
export function holdEvent(holder: LargeEventHolder, heldBytes: number): boolean {
  if (heldBytes <= USUAL_BYTES) {
    dropEvent(holder);
    return true;
  }
  unfinishedBytes += heldBytes - (unfinished.get(holder) ?? 0);
  unfinished.set(holder, heldBytes);
  if (mayGoOn(holder)) return true;
  wait(holder);
  return false;
}

/** Nothing is held any more. */
export function dropEvent(holder: LargeEventHolder): void {
  const heldBytes = unfinished.get(holder);
  if (heldBytes === undefined) return;
  unfinished.delete(holder);
  waiting.delete(holder);
  unfinishedBytes -= heldBytes;
  wakeWaiting();
}

/** What was written to a sink, which is full with it, stays in memory until its client has taken it. */
export function leaveEvent(sink: RelaySink, sizeBytes: number): void {
  if (sizeBytes <= USUAL_BYTES || sink.untakenBytes === undefined) return;
  forgetTaken();
  untaken.push({ sink, sizeBytes, sinceMs: performance.now() });
  untakenBytes += sizeBytes;
}

function mayGoOn(holder: LargeEventHolder): boolean {
  if (unfinishedBytes + untakenBytes < MOST_BYTES) return true;
  forgetTaken();
  if (unfinishedBytes + untakenBytes < MOST_BYTES) return true;
  return untakenBytes < MOST_BYTES && unfinished.keys().next().value === holder;
}

function wait(holder: LargeEventHolder): void {
  if (waiting.size === 0) waitingSinceMs = performance.now();
  waiting.add(holder);
  timer ??= setInterval(look, LOOK_MS).unref();
}

function wakeWaiting(): void {
  for (const holder of unfinished.keys()) {
    if (!waiting.has(holder)) continue;
    if (!mayGoOn(holder)) break;
    waiting.delete(holder);
    holder.goOn();
  }
  if (waiting.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

/** Sees to it, while some wait, that nobody who is slow is in their way for long: a client is cut off, a server given up. */
function look(): void {
  const nowMs = performance.now();
  forgetTaken();
  for (const { sink, sinceMs } of untaken) {
    const forMs = nowMs - Math.max(sinceMs, waitingSinceMs);
    if (untakenBytes < MOST_BYTES || forMs < TAKEN_WITHIN_MS) break;
    sink.destroy?.();
    forgetTaken();
  }
  const [now] = unfinished.keys();
  // One that waits itself is in nobody's way.
  if (now !== first || now === undefined || waiting.has(now)) {
    first = now;
    firstSinceMs = nowMs;
  }
  wakeWaiting();
  const forMs = nowMs - Math.max(firstSinceMs, waitingSinceMs);
  if (waiting.size > 0 && forMs >= ENDED_WITHIN_MS) first?.giveUp(ENDED_WITHIN_MS);
}

function forgetTaken(): void {
  untaken = untaken.filter(({ sink, sizeBytes }) => (sink.untakenBytes ?? 0) >= sizeBytes);
  untakenBytes = untaken.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

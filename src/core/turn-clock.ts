import { performance } from 'node:perf_hooks';

/** A turn that takes no longer holds up nobody. */
const STALL_MS = 1;
const { nodeTiming } = performance;
let nowMs = 0;
let isRead = false;
let workedMs = 0;
let stalled = 0;

/**
 * Monotonic milliseconds, as they were when somebody first asked in this turn of the event loop. A request asks some
 * thirty times, which would cost as much as parsing it. What happens in one turn counts as simultaneous.
 */
export function turnTimeMs(): number {
  if (isRead) return nowMs;
  isRead = true;
  nowMs = performance.now();
  const worked = nowMs - nodeTiming.idleTime;
  stalled += Math.max(0, worked - workedMs - STALL_MS);
  workedMs = worked;
  setImmediate(endTurn);
  return nowMs;
}

/**
 * Milliseconds, ever, by which turns of the event loop took longer than usual: garbage is collected, or there is much to do. What arrives in such a
 * time is seen, and what is to be sent goes out, only after it; whoever waited for it was not kept waiting by somebody else.
 */
export function stalledMs(): number {
  return stalled;
}

function endTurn(): void {
  isRead = false;
}

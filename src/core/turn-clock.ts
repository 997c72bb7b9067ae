import { performance } from 'node:perf_hooks';

let nowMs = 0;
let isRead = false;

/**
 * Monotonic milliseconds, as they were when somebody first asked in this turn of the event loop. A request asks some
 * thirty times, which would cost as much as parsing it. What happens in one turn counts as simultaneous.
 */
export function turnTimeMs(): number {
  if (isRead) return nowMs;
  isRead = true;
  nowMs = performance.now();
  setImmediate(endTurn);
  return nowMs;
}

function endTurn(): void {
  isRead = false;
}

import { turnTimeMs } from './turn-clock.ts';

/** What the process's monotonic clock shows less than the machine's. */
const behindMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Monotonic milliseconds that mean the same in all processes of this machine. */
export function hostTimeMs(): number {
  return performance.now() + behindMs;
}

/** The same as `turnTimeMs` has it: never later than it is. */
export function hostTurnTimeMs(): number {
  return turnTimeMs() + behindMs;
}

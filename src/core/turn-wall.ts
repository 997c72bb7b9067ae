import { turnTimeMs } from './turn-clock.ts';

let wallMs = 0;
let readAtMs = Number.NaN;

/** Unix milliseconds, as they were when somebody first asked in this turn of the event loop: to ask the system takes as long as all else that is done with them. */
export function turnWallMs(): number {
  const nowMs = turnTimeMs();
  if (nowMs !== readAtMs) {
    readAtMs = nowMs;
    wallMs = Date.now();
  }
  return wallMs;
}

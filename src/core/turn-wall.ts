import { turnTimeMs } from './turn-clock.ts';

let wallMs = 0;
let readAtMs = Number.NaN;

/** Unix milliseconds, as they were when somebody first asked in this turn of the event loop: a request with a key asks four times. */
export function turnWallMs(): number {
  const nowMs = turnTimeMs();
  if (nowMs !== readAtMs) {
    readAtMs = nowMs;
    wallMs = Date.now();
  }
  return wallMs;
}

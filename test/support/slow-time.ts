import { onTestFinished, vi } from 'vitest';

const TIMES_SLOWER = 100;

/**
 * Until the test ends, `performance.now` goes so slowly that what the test takes counts for next to nothing, however busy the
 * machine is. Timers go as they do.
 *
 * @returns Lets so many milliseconds pass at once.
 */
export function slowTime(): (ms: number) => void {
  const now = performance.now.bind(performance);
  const begunAtMs = now();
  let passedMs = 0;
  const spy = vi
    .spyOn(performance, 'now')
    .mockImplementation(() => begunAtMs + (now() - begunAtMs) / TIMES_SLOWER + passedMs);
  onTestFinished(() => spy.mockRestore());
  return (ms) => {
    passedMs += ms;
  };
}

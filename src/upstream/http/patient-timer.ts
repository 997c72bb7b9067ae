/** A timer that comes so late says that the event loop stood still. */
const LATE_MS = 100;

/**
 * For what a server may take. Where this process stood still meanwhile, there was no time to hear it: it gets that much longer,
 * once. Keeps no process alive.
 *
 * @returns Stops it.
 */
export function patientTimer(ms: number, onOver: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const wait = (leftMs: number, isLast: boolean) => {
    const dueAtMs = performance.now() + leftMs;
    timer = setTimeout(() => {
      const missedMs = Math.min(performance.now() - dueAtMs, ms);
      if (missedMs > LATE_MS && !isLast) wait(missedMs, true);
      else onOver();
    }, leftMs).unref();
  };
  wait(ms, false);
  return () => clearTimeout(timer);
}

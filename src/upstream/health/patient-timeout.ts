/** A timer that comes so late says that the event loop stood still. */
const LATE_MS = 100;

/**
 * As `AbortSignal.timeout`; where this process stood still meanwhile, there was no time to hear the answer: it gets that much
 * longer, once.
 */
export function patientTimeout(timeoutMs: number): AbortSignal {
  const over = new AbortController();
  const wait = (leftMs: number, isLast: boolean) => {
    const dueAtMs = performance.now() + leftMs;
    setTimeout(() => {
      const missedMs = Math.min(performance.now() - dueAtMs, timeoutMs);
      if (missedMs > LATE_MS && !isLast) wait(missedMs, true);
      else over.abort();
    }, leftMs).unref();
  };
  wait(timeoutMs, false);
  return over.signal;
}

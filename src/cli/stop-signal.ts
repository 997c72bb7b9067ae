/** npm, process groups and service managers deliver one and the same signal twice, a moment apart. */
const SAME_SIGNAL_MS = 1_000;

/**
 * Calls `stop` at the first SIGTERM or SIGINT and `endNow` at a later one that is meant as such. The handlers stay for good:
 * in a gap between two the default action would end the process.
 */
export function onStopSignals(handlers: {
  readonly stop: (signal: NodeJS.Signals) => void;
  readonly endNow: () => void;
}): void {
  let firstAtMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstAtMs === undefined) {
      firstAtMs = performance.now();
      handlers.stop(signal);
    } else if (performance.now() - firstAtMs > SAME_SIGNAL_MS) {
      handlers.endNow();
    }
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

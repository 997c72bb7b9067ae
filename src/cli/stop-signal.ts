const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** npm, process groups and service managers deliver one and the same signal twice, a moment apart. */
const SAME_SIGNAL_MS = 1_000;

/**
 * Calls `stop` at the first SIGTERM or SIGINT and `endNow` at a later one that is meant as such. The handlers stay for good:
 * in a gap between two the default action would end the process. They take the place of those that were there before.
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
  for (const signal of STOP_SIGNALS) {
    const before = process.listeners(signal);
    process.on(signal, onSignal);
    for (const listener of before) process.off(signal, listener);
  }
}

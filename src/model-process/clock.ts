/** The time that supervision goes by, so that tests can bring their own. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Calls back once. @returns What cancels that. */
  after(delayMs: number, callback: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

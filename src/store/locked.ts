import { setTimeout as sleep } from 'node:timers/promises';

/** Tries again while another process holds SQLite's lock, without stopping this one. @throws What it threw last */
export async function retryWhileLocked<T>(work: () => T | Promise<T>, patienceMs: number): Promise<T> {
  const started = performance.now();
  for (let delayMs = 1; ; delayMs = Math.min(2 * delayMs, 50)) {
    try {
      return await work();
    } catch (error) {
      if (!isLocked(error) || performance.now() - started > patienceMs) throw error;
    }
    await sleep(delayMs * (0.5 + Math.random()));
  }
}

export function isLocked(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY');
}

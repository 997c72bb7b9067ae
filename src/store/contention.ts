import { setTimeout as sleep } from 'node:timers/promises';

/** SQLite: locked by another process. PostgreSQL: given up for another transaction, by serialization or in a deadlock. */
const IN_THE_WAY = /^(SQLITE_BUSY|40001$|40P01$)/;

/** Tries again while others are in the way, without stopping this process. @throws What it threw last */
export async function retryWhileContended<T>(work: () => T | Promise<T>, patienceMs: number): Promise<T> {
  const started = performance.now();
  for (let delayMs = 1; ; delayMs = Math.min(2 * delayMs, 50)) {
    try {
      return await work();
    } catch (error) {
      const { code } = error as { readonly code?: unknown };
      if (!IN_THE_WAY.test(String(code)) || performance.now() - started > patienceMs) throw error;
    }
    await sleep(delayMs * (0.5 + Math.random()));
  }
}

import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

const NICEST = 19;
let usual: number | undefined;

/**
 * Makes the thread that calls it so much nicer than it was at first. Only Linux knows priorities of threads; and not everybody may take back what
 * they have given away.
 */
export function setThreadNicer(by: number): void {
  try {
    // `PROCESS/task/THREAD`
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    usual ??= getPriority(thread);
    setPriority(thread, Math.min(usual + by, NICEST));
  } catch {
    // It stays as it is.
  }
}

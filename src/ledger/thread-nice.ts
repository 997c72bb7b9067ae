import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

const NICEST = 19;
let usual: number | undefined;

/**
 * Makes the calling thread nicer by this much than it was at first. Only Linux has priorities of threads, and not
 * everybody may raise a priority again that they have lowered.
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

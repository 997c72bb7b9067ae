import { readFileSync, writeFileSync } from 'node:fs';

/** Memory of a process that is in RAM, as the system sees it, so also of one that hangs. Undefined where there is no /proc. */
export function residentBytes(pid: number): number | undefined {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  } catch {
    return undefined;
  }
}

/** Of 1000; 0 is what other processes have. */
const SACRIFICE_SCORE = 500;

/** Where memory runs out, the system ends this process rather than the gateway, which starts it again. */
export function sacrificeFirst(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(SACRIFICE_SCORE));
  } catch {
    // Not Linux, or not allowed in this container.
  }
}

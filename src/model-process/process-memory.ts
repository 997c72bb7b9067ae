import { readFileSync, writeFileSync } from 'node:fs';

/** A process's memory that is in RAM; the system tells, so a process that hangs can be asked about, too. Undefined where there is no /proc. */
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

/** Where memory runs out, the system kills this process rather than the gateway, which then starts it again. */
export function sacrificeFirst(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(SACRIFICE_SCORE));
  } catch {
    // Not Linux, or not allowed in this container.
  }
}

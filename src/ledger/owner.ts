import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** Whose journal it is: a process, by its number and by when it began, since numbers come again. */
export interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Undefined: the system does not tell. */
  readonly began: string;
}

export function thisProcess(): Owner {
  return {
    host: hostname().replace(/[^A-Za-z0-9.-]/g, '-') || 'host',
    pid: process.pid,
    began: beganOf(process.pid),
  };
}

/** False only for what has surely ended: of another machine, or another container, nothing is known. */
export function mayRun({ host, pid, began }: Owner): boolean {
  if (host !== thisProcess().host) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return beganOf(pid) === began;
}

/** In clock ticks since the machine started: field 22 of `/proc/PID/stat`. */
function beganOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
  } catch {
    return '0';
  }
}

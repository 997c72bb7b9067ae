import { totalmem } from 'node:os';

/** What this process may use: the machine's memory, or the container's limit where that is less. */
export function machineMemoryBytes(): number {
  const limitBytes = process.constrainedMemory();
  return limitBytes > 0 ? Math.min(limitBytes, totalmem()) : totalmem();
}

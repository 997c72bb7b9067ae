import type { Clock } from './clock.ts';
import { residentBytes } from './process-memory.ts';

const POLL_MS = 250;

/**
 * Watches a process's memory until it has more than it may. Where the system does not tell, nothing is limited.
 *
 * @returns What ends the watch.
 */
export function watchMemory(options: {
  readonly pid: number | undefined;
  /** May change as more is known of the process. */
  readonly limitBytes: () => number;
  readonly clock: Clock;
  /** Called once, with a text for operators. */
  readonly onExceeded: (detail: string) => void;
}): () => void {
  const { pid, limitBytes, clock, onExceeded } = options;
  let cancel = (): void => {};
  const look = (): void => {
    const [has, may] = [pid === undefined ? 0 : (residentBytes(pid) ?? 0), limitBytes()];
    if (has <= may) cancel = clock.after(POLL_MS, look);
    else
      onExceeded(
        `the engine process took ${mebibytes(has)} MiB of memory and may take ${mebibytes(may)}: fewer slots or context tokens, or a higher memoryLimitBytes`,
      );
  };
  look();
  return () => cancel();
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

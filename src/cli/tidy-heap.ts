import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { mallocTrim } from './malloc-trim.ts';

export interface TidyOptions {
  /** Whether nobody waits for anything. */
  readonly isIdle: () => boolean;
  /** Default: V8's collector of last resort, which takes some 50 ms. */
  readonly collect?: () => void;
  /** What is beside V8's heap, too; not after the start, which leaves little there. Default: glibc's. */
  readonly trim?: () => Promise<void>;
  /** Of the heap, as far as it is in memory. Default: V8's. */
  readonly heapBytes?: () => number;
  /** The share of the time since the last call in which this thread was busy. Default: the event loop's. */
  readonly busyShare?: () => number;
}

/** The first look: all that was read and compiled at the start is garbage by then. */
const FIRST_MS = 500;
const LOOK_MS = 1_000;
const MOST_BUSY_SHARE = 0.05;
/** What is not worth a collection. */
const LEAST_GROWTH_BYTES = 4 * 1024 * 1024;

/**
 * Gives memory back while there is nothing to do. By itself V8 keeps what the start and a load have taken until the next load: it collects as it
 * allocates, and who is idle allocates nothing. Keeps no process alive.
 */
export function tidyWhileIdle(options: TidyOptions): void {
  const { isIdle, collect = lastResort(), trim = mallocTrim, heapBytes = physicalBytes } = options;
  const { busyShare = eventLoopShare() } = options;
  let tidyBytes = 0;
  const look = () => {
    const busy = busyShare();
    if (!isIdle() || busy > MOST_BUSY_SHARE || heapBytes() - tidyBytes < LEAST_GROWTH_BYTES) return;
    collect();
    if (tidyBytes > 0) void trim();
    tidyBytes = heapBytes();
  };
  setTimeout(() => {
    look();
    setInterval(look, LOOK_MS).unref();
  }, FIRST_MS).unref();
}

function physicalBytes(): number {
  return getHeapStatistics().total_physical_size;
}

function eventLoopShare(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

/** An ordinary collection leaves the young generation as large as it has become. */
function lastResort(): () => void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (how: object) => void;
  return () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { RunningGateway } from '../running-gateway.ts';
import { mallocTrim } from './malloc-trim.ts';
import { favourMemory } from './tune-heap.ts';

export interface TidyMeans {
  /** Default: V8's collector of last resort, which takes some 50 ms and forgets most of what is compiled. */
  readonly collect?: () => void;
  /** Gives back what is beside V8's heap, too; not after the start, which leaves little there. Default: glibc's. */
  readonly trim?: () => Promise<void>;
  /** Size of the heap, as far as it is in memory. Default: V8's. */
  readonly heapBytes?: () => number;
  /** Of the whole process. */
  readonly residentBytes?: () => number;
  /** What V8 is told. */
  readonly favour?: (memory: boolean) => void;
}

/** The first look: all that was read and compiled at the start is garbage by then. */
const FIRST_MS = 500;
/** A gateway that has served nobody for this long has nothing to do. */
const LOOK_MS = 5_000;
/** By this many looks later threads have ended, too, and V8 has given back what it kept of their pages and its own. */
const TRIMS = 5;
/** After this many idle looks, five minutes, nobody is expected soon. A collection before that would cost the next requests more than memory is worth. */
const LONG_IDLE = 60;
/** Of a process that has become larger, memory is worth more than what is compiled. */
const LARGE_BYTES = 240 * 1024 * 1024;
/** Less than this is not worth a collection. */
const LEAST_GROWTH_BYTES = 4 * 1024 * 1024;

/**
 * Gives memory back while there is nothing to do: soon what is beside V8's heap, after long what V8 keeps for the next load, and with it the code that
 * it has compiled (`tune-heap.ts`). Keeps no process alive.
 */
export function tidyWhileIdle(
  { gateway, ended }: { readonly gateway: { readonly inFlight: number } } & Pick<RunningGateway, 'ended'>,
  {
    collect = lastResort(),
    trim = mallocTrim,
    heapBytes = physicalBytes,
    residentBytes = process.memoryUsage.rss,
    favour = favourMemory,
  }: TidyMeans = {},
): void {
  let endedBefore = ended();
  let idleLooks = 0;
  let tidyBytes = 0;
  let trims = 0;
  const isIdle = () => {
    const idle = gateway.inFlight === 0 && ended() === endedBefore;
    endedBefore = ended();
    return idle;
  };
  const tidy = () => {
    collect();
    tidyBytes = heapBytes();
  };
  const look = () => {
    favour(residentBytes() > LARGE_BYTES);
    if (!isIdle()) {
      idleLooks = 0;
      trims = TRIMS;
      return;
    }
    idleLooks += 1;
    if (idleLooks >= LONG_IDLE && heapBytes() - tidyBytes >= LEAST_GROWTH_BYTES) {
      tidy();
      trims = TRIMS;
    }
    if (trims > 0) void trim();
    trims = Math.max(0, trims - 1);
  };
  setTimeout(() => {
    if (isIdle()) tidy();
    setInterval(look, LOOK_MS).unref();
  }, FIRST_MS).unref();
}

function physicalBytes(): number {
  return getHeapStatistics().total_physical_size;
}

/** An ordinary collection leaves the young generation as large as it has become. */
function lastResort(): () => void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (how: object) => void;
  return () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

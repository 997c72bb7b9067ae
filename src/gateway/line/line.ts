import type { Caller } from '../../core/caller.ts';
import { AppError } from '../../core/error.ts';
import { tenantOf } from '../request/tenant.ts';
import type { FairQueue } from './fair-queue.ts';
import { LineDoor } from './line-door.ts';
import { Unserved } from './unserved.ts';

/** A place, as far as the line is concerned. */
interface Place {
  waitedInLineMs: number;
}

/** A request that has to wait for a place, and what it waits for. */
export interface Wish<P extends Place> {
  readonly request: { readonly caller: Caller | undefined; readonly deadlineAtMs: number | undefined };
  /** A place, if there is one. */
  readonly claim: () => P | undefined;
  readonly signal: AbortSignal;
  /** Called with how long it was in line, whatever came of it. */
  readonly onWaited: (ms: number) => void;
}

const MIN_RETRY_AFTER_MS = 1_000;
/** One that finds the line full is told so in the same turn of the event loop, and does not count as having been in it. */
const LEAST_WAIT_MS = 1;
const TOO_MUCH =
  'The model is busy, and more than your share of its queue is yours already; try again later.';

/** Where the requests of one model wait for a place: the door, and the queue behind it. */
export class Line {
  readonly #queue: FairQueue<Place>;
  readonly #door: LineDoor;
  readonly #now: () => number;

  constructor(queue: FairQueue<Place>, now: () => number) {
    this.#queue = queue;
    this.#door = new LineDoor(queue, now);
    this.#now = now;
  }

  /**
   * Resolves to the place, as soon as `claim` finds one.
   *
   * @param room What `LineDoor.refusal` has to know.
   * @throws AppError when the line or the wait is too long: `rate_limit_exceeded` for a tenant that has more than its
   *   share in line while others wait, too; otherwise `overloaded`. And the reason of the signal.
   */
  async stand<P extends Place>(
    { request, claim, signal, onWaited }: Wish<P>,
    { capacity, answerMs }: { readonly capacity: number; readonly answerMs: number | undefined },
  ): Promise<P> {
    const queue = this.#queue;
    const { caller, deadlineAtMs } = request;
    const tenant = tenantOf(caller);
    const replacing = this.#door.isTooLong(tenant, answerMs);
    const refused = this.#door.refusal(tenant, capacity, replacing);
    if (refused !== undefined) throw errorOf(refused);
    const sinceMs = this.#now();
    const idle = queue.counters.isIdle(tenant);
    let turnedAway = false;
    try {
      const served = await queue.wait({ tenant, deadlineAtMs, replacing }, claim, signal);
      if (served instanceof Unserved) {
        turnedAway = served.reason === 'full' && this.#now() - sinceMs < LEAST_WAIT_MS;
        this.#door.turnedAway();
        throw errorOf(served);
      }
      if (idle) served.waitedInLineMs = this.#now() - sinceMs;
      return served as P;
    } finally {
      if (!turnedAway) onWaited(this.#now() - sinceMs);
    }
  }
}

function errorOf({ excessive, comeBackMs }: Unserved): AppError {
  const retryAfterMs = Math.max(MIN_RETRY_AFTER_MS, Math.ceil(comeBackMs));
  if (!excessive) return new AppError('overloaded', { retryAfterMs });
  return new AppError('rate_limit_exceeded', { message: TOO_MUCH, retryAfterMs });
}

import { FairQueue } from '../line/fair-queue.ts';
import type { Tenant } from '../request/tenant.ts';

const SHARE = 0.1;
const MIN_RETRIES = 3;
/** How long a failed request waits for its turn to be tried again. */
const MAX_WAIT_MS = 10_000;
/** Turns are counted as tokens. */
const ONE = { prompt: 1, output: 0 };

/**
 * Keeps retries from multiplying the load of a fleet in trouble: of the active requests of a model, a tenth may be
 * retrying at once, and three in any case (as Envoy's retry budgets). The others wait for their turn, in a line that
 * is fair to tenants, so that a fleet that has lost a member loses no request and is not overrun either.
 */
export class RetryBudget {
  readonly #active: () => number;
  readonly #queue: FairQueue<() => void>;
  #running = 0;
  #total = 0;

  constructor(active: () => number, now: () => number) {
    this.#active = active;
    this.#queue = new FairQueue({ capacity: Number.POSITIVE_INFINITY, maxWaitMs: MAX_WAIT_MS, now });
  }

  get limit(): number {
    return Math.max(MIN_RETRIES, Math.floor(this.#active() * SHARE));
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** How many have ever begun. */
  get total(): number {
    return this.#total;
  }

  /**
   * Resolves to what gives the turn back, or to undefined when the turn did not come in time.
   *
   * @throws The reason of the signal.
   */
  async turn(tenant: Tenant, signal: AbortSignal): Promise<(() => void) | undefined> {
    const turn = this.#queue.length === 0 ? this.take(tenant) : undefined;
    if (turn !== undefined) return turn;
    const given = await this.#queue.wait({ tenant }, () => this.take(tenant), signal);
    return typeof given === 'function' ? given : undefined;
  }

  /** The same without waiting. */
  take(tenant: Tenant): (() => void) | undefined {
    if (this.#running >= this.limit) return undefined;
    this.#running += 1;
    this.#total += 1;
    const { counters } = this.#queue;
    const charge = counters.charge(tenant, ONE);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#running -= 1;
      counters.settle(charge, ONE);
      this.#queue.pump();
    };
  }
}

import type { ModelReport } from '../core/report.ts';
import { HedgeBucket } from './hedge-bucket.ts';
import { RetryBudget } from './retry-budget.ts';
import type { Slot } from './slot.ts';
import { WaitQueue } from './wait-queue.ts';

export interface QueueBounds {
  /** Requests of one model that may wait for a deployment to have room. */
  readonly capacity: number;
  readonly maxWaitMs: number;
}

/** What the requests of one public model share. */
export class ModelState {
  readonly name: string;
  readonly budget: RetryBudget;
  readonly queue: WaitQueue<Slot>;
  readonly hedges = new HedgeBucket();
  #active = 0;

  constructor(name: string, bounds: QueueBounds, now: () => number) {
    this.name = name;
    this.budget = new RetryBudget(() => this.#active, now);
    this.queue = new WaitQueue({ ...bounds, now });
  }

  begin(): void {
    this.#active += 1;
    this.hedges.earn();
  }

  end(): void {
    this.#active -= 1;
  }

  report(): ModelReport {
    const { budget, queue, hedges } = this;
    return {
      name: this.name,
      active: this.#active,
      queued: queue.length,
      retrying: budget.running,
      retriesWaiting: budget.waiting,
      retryBudget: budget.limit,
      retries: budget.total,
      rejected: { ...queue.rejected },
      hedges: { won: hedges.won, lost: hedges.lost, available: hedges.available },
    };
  }
}

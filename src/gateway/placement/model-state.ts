import type { ModelReport } from '../../core/report.ts';
import { FairQueue } from '../line/fair-queue.ts';
import { RecentReplies } from '../request/recent-replies.ts';
import type { Canaries } from '../trials/canaries.ts';
import { HedgeBucket } from './hedge-bucket.ts';
import { RetryBudget } from './retry-budget.ts';
import type { Slot } from './slot.ts';

const REPORTED_TENANTS = 5;
const USUAL_BYTES_PER_TOKEN = 4;
/** Pictures have many bytes and few tokens. */
const MAX_BYTES_PER_TOKEN = 16;
/** The frame around a short prompt says nothing of a long one. */
const LEAST_TELLING_TOKENS = 32;
const LEARNING_RATE = 0.05;

export interface QueueBounds {
  /** Requests of one model that may wait for a deployment to have room. */
  readonly capacity: number;
  readonly maxWaitMs: number;
}

/** What the requests of one public model share. */
export class ModelState {
  readonly name: string;
  readonly budget: RetryBudget;
  readonly queue: FairQueue<Slot>;
  readonly canaries: Canaries;
  readonly hedges = new HedgeBucket();
  readonly replies = new RecentReplies();
  #active = 0;
  #bytesPerToken = USUAL_BYTES_PER_TOKEN;

  constructor(name: string, bounds: QueueBounds, canaries: Canaries, now: () => number) {
    this.name = name;
    this.canaries = canaries;
    this.budget = new RetryBudget(() => this.#active, now);
    this.queue = new FairQueue({ ...bounds, foresees: true, now });
  }

  begin(): void {
    this.#active += 1;
    this.hedges.earn();
  }

  end(): void {
    this.#active -= 1;
  }

  /** Bytes of a request's body per token of its prompt. */
  get bytesPerToken(): number {
    return this.#bytesPerToken;
  }

  observePrompt(bodyBytes: number, promptTokens: number): void {
    if (promptTokens < LEAST_TELLING_TOKENS) return;
    const observed = Math.min(MAX_BYTES_PER_TOKEN, Math.max(1, bodyBytes / promptTokens));
    this.#bytesPerToken += LEARNING_RATE * (observed - this.#bytesPerToken);
  }

  report(): ModelReport {
    const { budget, queue, hedges } = this;
    return {
      name: this.name,
      active: this.#active,
      queued: queue.length,
      queueAgeMs: Math.round(queue.headAgeMs),
      longestQueues: queue.longest(REPORTED_TENANTS),
      retrying: budget.running,
      retriesWaiting: budget.waiting,
      retryBudget: budget.limit,
      retries: budget.total,
      rejected: { ...queue.rejected },
      hedges: { won: hedges.won, lost: hedges.lost, available: hedges.available },
    };
  }
}

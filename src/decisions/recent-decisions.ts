import type { GatewayEvent, RequestSettled } from '../core/event.ts';
import { type Decided, type DecisionView, decisionView } from './decision-view.ts';

interface Kept {
  readonly settled: Decided;
  readonly atEpochMs: number;
}

/**
 * The last decisions, in memory; the oldest make room for the newest. A ring, as this is written to with every request: a map's
 * table would keep alive what has been deleted from it.
 */
export class RecentDecisions {
  readonly #now: () => number;
  #ring: (Kept | undefined)[];
  /** Where the next one goes: over the oldest. */
  #next = 0;

  /** @param now Milliseconds since 1970. */
  constructor(capacity: number, now: () => number = Date.now) {
    this.#ring = new Array(capacity).fill(undefined);
    this.#now = now;
  }

  resize(capacity: number): void {
    if (capacity === this.#ring.length) return;
    const kept = this.#newestFirst().slice(0, capacity).reverse();
    this.#next = capacity === 0 ? 0 : kept.length % capacity;
    this.#ring = [...kept, ...new Array(capacity - kept.length).fill(undefined)];
  }

  readonly observe = (event: GatewayEvent): void => {
    if (event.type !== 'request-settled' || !isDecided(event) || this.#ring.length === 0) return;
    // Has the prompt hashed, if it has not been, so that it can go.
    void event.decision.features.blocks;
    this.#ring[this.#next] = { settled: event, atEpochMs: this.#now() };
    this.#next = (this.#next + 1) % this.#ring.length;
  };

  find(id: string): DecisionView | undefined {
    const kept = this.#ring.find((one) => one?.settled.decision.id === id);
    return kept && decisionView(kept.settled, kept.atEpochMs);
  }

  /** The newest first. */
  latest(count: number): readonly DecisionView[] {
    const newest = this.#newestFirst().slice(0, count);
    return newest.map(({ settled, atEpochMs }) => decisionView(settled, atEpochMs));
  }

  #newestFirst(): Kept[] {
    const oldestFirst = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    return oldestFirst.filter((one) => one !== undefined).reverse();
  }
}

function isDecided(event: RequestSettled): event is Decided {
  return event.decision !== undefined;
}

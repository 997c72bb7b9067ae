import type { GatewayEvent } from '../core/event.ts';
import { type Decided, type DecisionView, decisionView } from './decision-view.ts';

interface Kept {
  readonly settled: Decided;
  readonly atEpochMs: number;
}

/** The last decisions, in memory; the oldest make room for the newest. */
export class RecentDecisions {
  readonly #kept = new Map<string, Kept>();
  readonly #now: () => number;
  #capacity: number;

  /** @param now Milliseconds since 1970. */
  constructor(capacity: number, now: () => number = Date.now) {
    this.#capacity = capacity;
    this.#now = now;
  }

  resize(capacity: number): void {
    this.#capacity = capacity;
    this.#shrink();
  }

  readonly observe = (event: GatewayEvent): void => {
    if (event.type !== 'request-settled' || event.decision === undefined) return;
    const settled = { ...event, decision: event.decision };
    this.#kept.set(settled.decision.id, { settled, atEpochMs: this.#now() });
    this.#shrink();
  };

  find(id: string): DecisionView | undefined {
    const kept = this.#kept.get(id);
    return kept && decisionView(kept.settled, kept.atEpochMs);
  }

  /** The newest first. */
  latest(count: number): readonly DecisionView[] {
    const newest = [...this.#kept.values()].slice(-count).reverse();
    return newest.map(({ settled, atEpochMs }) => decisionView(settled, atEpochMs));
  }

  #shrink(): void {
    for (const id of this.#kept.keys()) {
      if (this.#kept.size <= this.#capacity) return;
      this.#kept.delete(id);
    }
  }
}

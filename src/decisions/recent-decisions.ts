import type { GatewayEvent, RequestSettled } from '../core/event.ts';
import { type Decided, type DecisionView, decisionView } from './decision-view.ts';
import { isPlain, PlainDecision } from './plain-decision.ts';

interface Kept {
  readonly settled: Decided;
  readonly atEpochMs: number;
}

/** One place of the ring. */
interface Place {
  /** Of a decision that is kept as it is. */
  whole: Kept | undefined;
  readonly plain: PlainDecision;
}

/**
 * The last decisions, in memory; the oldest make room for the newest. A ring, as this is written to with every request: a map's
 * table would keep alive what has been deleted from it.
 */
export class RecentDecisions {
  readonly #now: () => number;
  #ring: (Place | undefined)[];
  /** Where the next one is written: over the oldest. */
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
    const place = this.#ring[this.#next] ?? { whole: undefined, plain: new PlainDecision() };
    this.#ring[this.#next] = place;
    const plain = isPlain(event);
    place.whole = plain ? undefined : { settled: event, atEpochMs: this.#now() };
    if (plain) place.plain.take(event, this.#now());
    this.#next = (this.#next + 1) % this.#ring.length;
  };

  find(id: string): DecisionView | undefined {
    const place = this.#ring.find((one) => one !== undefined && idOf(one) === id);
    return place && viewOf(place);
  }

  /** The newest first. */
  latest(count: number): readonly DecisionView[] {
    return this.#newestFirst().slice(0, count).map(viewOf);
  }

  #newestFirst(): Place[] {
    const oldestFirst = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    return oldestFirst.filter((one) => one !== undefined).reverse();
  }
}

function idOf({ whole, plain }: Place): string {
  return whole === undefined ? plain.id : whole.settled.decision.id;
}

function viewOf({ whole, plain }: Place): DecisionView {
  const { settled, atEpochMs } = whole ?? plain.restore();
  return decisionView(settled, atEpochMs);
}

function isDecided(event: RequestSettled): event is Decided {
  return event.decision !== undefined;
}

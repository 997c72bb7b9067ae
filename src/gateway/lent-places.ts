import type { ConcurrencyLimit } from './concurrency-limit.ts';
import type { Headroom, Stay } from './headroom.ts';

/** A client that takes nothing for this long has its backend wait; one that takes a little now and then hardly does. */
const PATIENCE_MS = 100;

/** What a client has had its reply wait. */
export interface Pauses {
  readonly stay: Stay | undefined;
  /** Undefined: the client takes what comes. */
  pausedAtMs: number | undefined;
  /** Earlier pauses, together. */
  pausedMs: number;
  isLent: boolean;
}

/**
 * Replies that wait for their clients, at one backend. The place of one that has waited for long is lent: others come
 * in as if it was not there, until its client reads on. How many there are in all stays within the limit's maximum.
 *
 *   held ──paused──▶ held, not read ──after a while──▶ lent ──┐
 *    ▲                     │                                   │
 *    └──────────resumed────┴───────────────────────────────────┘
 */
export class LentPlaces {
  readonly #limit: ConcurrencyLimit;
  readonly #headroom: Headroom;
  readonly #now: () => number;
  /** Those that keep their places so far, the one that has paused for longest first. */
  readonly #paused = new Set<Pauses>();
  #lent = 0;

  constructor(limit: ConcurrencyLimit, headroom: Headroom, now: () => number) {
    this.#limit = limit;
    this.#headroom = headroom;
    this.#now = now;
  }

  get count(): number {
    return this.#lent;
  }

  /** May be told again: what was on its way before the pause still comes. */
  paused(pauses: Pauses): void {
    if (pauses.pausedAtMs !== undefined) return;
    pauses.pausedAtMs = this.#now();
    this.#paused.add(pauses);
  }

  /** Its client reads on, or it is at its end: the place is its own again, even if that makes one too many. */
  resumed(pauses: Pauses): void {
    const { pausedAtMs, stay, isLent } = pauses;
    if (pausedAtMs === undefined) return;
    pauses.pausedMs += this.#now() - pausedAtMs;
    pauses.pausedAtMs = undefined;
    this.#paused.delete(pauses);
    if (!isLent) return;
    pauses.isLent = false;
    this.#lent -= 1;
    this.#limit.takeBack();
    if (stay !== undefined) this.#headroom.cameBack(stay);
  }

  /** Somebody wants a place. */
  lend(): void {
    if (this.#paused.size === 0) return;
    const dueMs = this.#now() - PATIENCE_MS;
    for (const pauses of this.#paused) {
      if (pauses.pausedAtMs! > dueMs) break;
      this.#paused.delete(pauses);
      pauses.isLent = true;
      this.#lent += 1;
      this.#limit.lend();
      if (pauses.stay !== undefined) this.#headroom.wentAway(pauses.stay);
    }
  }
}

/** How long a reply takes says more of its client than of the backend. */
export function isHeldUp({ pausedAtMs, pausedMs }: Pauses, nowMs: number): boolean {
  return pausedMs + (pausedAtMs === undefined ? 0 : nowMs - pausedAtMs) >= PATIENCE_MS;
}

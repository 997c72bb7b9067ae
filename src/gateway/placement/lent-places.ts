import type { ConcurrencyLimit } from '../backend/concurrency-limit.ts';
import type { Headroom } from '../headroom/headroom.ts';
import type { Stay } from '../headroom/stays.ts';

/** A client that takes nothing for this long has its backend wait; one that takes a little now and then hardly does. */
const PATIENCE_MS = 100;
/**
 * One that has taken nothing for this long has to go if others wait for its place: half the time that they wait by
 * default. Over a slow network it takes a few kilobytes in that time, which shows. A program that is slow itself must
 * read the third of what its connection buffers, which is up to 4 MB.
 */
const CUT_OFF_MS = 5_000;

/** Who gets a reply, at its own pace. */
export interface SlowClient {
  /** How much it has taken so far, as far as can be seen from here. */
  readonly takenBytes: number;
  /** Cuts it off, which ends its request. */
  destroy(): void;
}

/** What a client has had its reply wait. */
export interface Pauses {
  readonly stay: Stay | undefined;
  /** Undefined: the client takes what comes. */
  pause: Pause | undefined;
  /** Earlier ones, together. */
  pausedMs: number;
}

interface Pause {
  readonly client: SlowClient;
  readonly sinceMs: number;
  isLent: boolean;
  /** Of a lent one: what its client had taken when that was last looked at, and how long ago that is. */
  takenBytes: number;
  lookedAtMs: number;
}

/**
 * Replies that wait for their clients, at one backend. The place of one that has waited for long is lent: others come
 * in as if it was not there, until its client reads on. How many there are in all stays within the limit's maximum:
 * where that is reached, the clients of those that are lent have to go, one for each that comes.
 *
 *   held ──paused──▶ held, not read ──after a while──▶ lent ──somebody has to go──▶ cut off
 *    ▲                     │                            │
 *    └──────────resumed────┴────────────────────────────┘
 */
export class LentPlaces {
  readonly #limit: ConcurrencyLimit;
  readonly #headroom: Headroom;
  readonly #now: () => number;
  /** Those that keep their places so far, the one that has paused for longest first. */
  readonly #paused = new Set<Pauses>();
  /** The one that was looked at the longest ago first. */
  readonly #lent = new Set<Pauses>();
  /** Its client was cut off, and it is about to leave. */
  #leaving: Pauses | undefined;

  constructor(limit: ConcurrencyLimit, headroom: Headroom, now: () => number) {
    this.#limit = limit;
    this.#headroom = headroom;
    this.#now = now;
  }

  get count(): number {
    return this.#lent.size;
  }

  /** May be told again: what was on its way before the pause still comes. */
  paused(pauses: Pauses, client: SlowClient): void {
    if (pauses.pause !== undefined) return;
    const sinceMs = this.#now();
    pauses.pause = { client, sinceMs, isLent: false, takenBytes: 0, lookedAtMs: sinceMs };
    this.#paused.add(pauses);
  }

  /** Its client reads on, or it is at its end: the place is its own again, even if that makes one too many. */
  resumed(pauses: Pauses): void {
    const { pause, stay } = pauses;
    if (pause === undefined) return;
    pauses.pausedMs += this.#now() - pause.sinceMs;
    pauses.pause = undefined;
    if (this.#leaving === pauses) this.#leaving = undefined;
    if (!pause.isLent) {
      this.#paused.delete(pauses);
      return;
    }
    this.#lent.delete(pauses);
    this.#limit.takeBack();
    if (stay !== undefined) this.#headroom.cameBack(stay);
  }

  /** Somebody wants a place. */
  lend(): void {
    if (this.#paused.size === 0) return;
    const nowMs = this.#now();
    for (const pauses of this.#paused) {
      const pause = pauses.pause!;
      if (pause.sinceMs > nowMs - PATIENCE_MS) break;
      this.#paused.delete(pauses);
      pause.isLent = true;
      this.#look(pauses, pause, nowMs);
      this.#limit.lend();
      if (pauses.stay !== undefined) this.#headroom.wentAway(pauses.stay);
    }
  }

  /**
   * Somebody has to wait for a place. If lent ones are what is in the way, the client that has taken nothing for longest is cut
   * off, once that is long enough.
   *
   * @returns There will be a place.
   */
  reclaim(): boolean {
    if (!this.#limit.isFullOfLent) return false;
    if (this.#leaving !== undefined) return true;
    const nowMs = this.#now();
    for (const pauses of this.#lent) {
      const pause = pauses.pause!;
      if (pause.lookedAtMs > nowMs - CUT_OFF_MS) return false;
      if (pause.client.takenBytes === pause.takenBytes) {
        this.#leaving = pauses;
        pause.client.destroy();
        return true;
      }
      this.#look(pauses, pause, nowMs);
    }
    return false;
  }

  #look(pauses: Pauses, pause: Pause, nowMs: number): void {
    pause.takenBytes = pause.client.takenBytes;
    pause.lookedAtMs = nowMs;
    this.#lent.delete(pauses);
    this.#lent.add(pauses);
  }
}

/** How long a reply takes says more of its client than of the backend. */
export function isHeldUp({ pause, pausedMs }: Pauses, nowMs: number): boolean {
  return pausedMs + (pause === undefined ? 0 : nowMs - pause.sinceMs) >= PATIENCE_MS;
}

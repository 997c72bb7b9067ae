import type { Tenant } from '../request/tenant.ts';
import type { FairQueue } from './fair-queue.ts';
import { isExcessive } from './line-shares.ts';
import type { Unserved } from './unserved.ts';

/** Where requests have been turned away again and again for this long, more come than are served. */
const OVERRUN_MS = 1_000;
/** After this long without a refusal, that is over. */
const CALM_MS = 1_000;
/**
 * While it lasts nobody is to wait for longer than this, or than this many times what an answer takes where nobody
 * waits.
 */
const PATIENCE_MS = 1_000;
const PATIENCE_ANSWERS = 3;
/** This many may stand in line in any case, or places would stay empty between one that leaves and one that comes. */
const ALWAYS = 2;

/**
 * Turns away at once those whom standing in a model's line would not help.
 *
 *   - In a surge that lasts, a long line gets no more done: whoever is served has waited for all of it, and so will those
 *     that come when the surge is over. So it is kept short (controlled delay; Maurer, Fail at Scale, ACM Queue 2015). A
 *     burst may still use all of the line, and so may as many clients as there is room for. Whoever has far less in it than
 *     another takes that one's place.
 *   - Among several tenants, some of the line is left for whoever comes next (dynamic thresholds; Choudhury and Hahne
 *     1998). Otherwise the newest requests of those that have most would have to leave it again, and they are better told
 *     at once.
 */
export class LineDoor {
  readonly #queue: FairQueue<unknown>;
  readonly #now: () => number;
  #firstMs = Number.NEGATIVE_INFINITY;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(queue: FairQueue<unknown>, now: () => number) {
    this.#queue = queue;
    this.#now = now;
  }

  /**
   * @param capacity How many may wait, of all tenants together.
   * @param replacing It may only take the place of another (`isTooLong`).
   * @returns Undefined: it may ask for a place in line.
   */
  refusal(tenant: Tenant, capacity: number, replacing: boolean): Unserved | undefined {
    const isBarred = replacing && !this.#queue.mayReplaceAnother(tenant);
    if (!isBarred && !this.#hasItsPart(tenant, capacity)) return undefined;
    this.turnedAway();
    return this.#queue.refuse('full', tenant, isExcessive(this.#queue.counters.waiting, tenant, 1));
  }

  /** One was turned away: here, by the line, or after it had waited for too long. */
  turnedAway(): void {
    const nowMs = this.#now();
    if (nowMs - this.#lastMs > CALM_MS) this.#firstMs = nowMs;
    this.#lastMs = nowMs;
  }

  /**
   * The line is to grow no longer for its sake.
   *
   * @param answerMs What an answer to the request takes where nobody waits; undefined: nobody knows.
   */
  isTooLong(tenant: Tenant, answerMs: number | undefined): boolean {
    if (answerMs === undefined || !this.#isOverrun || this.#queue.length < ALWAYS) return false;
    const expectedMs = this.#queue.expectedWaitMs(tenant) ?? this.#queue.headAgeMs;
    return expectedMs > Math.max(PATIENCE_MS, PATIENCE_ANSWERS * answerMs);
  }

  get #isOverrun(): boolean {
    return this.#lastMs - this.#firstMs >= OVERRUN_MS && this.#now() - this.#lastMs <= CALM_MS;
  }

  /**
   * The tenant has its part of the line, not counting worse bands: its share or, if that is more, as much as is left
   * beside a place for everybody who is being served and may come back. How much a tenant may have that is alone,
   * the line itself decides.
   */
  #hasItsPart({ projectId, priority, weight }: Tenant, capacity: number): boolean {
    let own = 0;
    let others = 0;
    let weights = weight;
    const { waiting, size } = this.#queue.counters;
    for (const { id, line, head, weight: theirs } of waiting) {
      if (id === projectId) own = line.length;
      else if (head!.tenant.priority <= priority) {
        others += line.length;
        weights += theirs;
      }
    }
    if (own === 0 || others === 0) return false;
    const left = capacity - own - others - (size - waiting.size);
    return own + 1 > Math.max(left, (capacity * weight) / weights);
  }
}

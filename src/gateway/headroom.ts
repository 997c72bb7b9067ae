import type { ConcurrencyLimit } from './concurrency-limit.ts';
import { Knee, type Sample } from './knee.ts';
import type { Tenant } from './tenant.ts';

/** Whoever sent nothing for so long shares the backend no longer. */
const ACTIVE_MS = 60_000;
const SWEEP_EVERY_MS = 1_000;
/** Tenants below their share may go so far beyond what others are held to. */
const BEYOND = 1.5;

/** A tenant at one backend. */
interface Guest {
  readonly id: string;
  weight: number;
  priority: number;
  inFlight: number;
  seenAtMs: number;
}

/** One request of it. */
export interface Stay {
  readonly guest: Guest;
  /** Its tenant had less than its share while others were there. */
  readonly within: boolean;
}

/**
 * Keeps room in one backend for tenants that use little of it. Where nothing can be taken back from a request that runs, a
 * tenant that fills a backend makes others wait for its replies to end, even if they are served next. So while several
 * tenants are active, whoever has more than its share inside gets a place only below the knee: so many that another request
 * begins without delay. Alone, a tenant may have all that the limit allows.
 */
export class Headroom {
  readonly #limit: ConcurrencyLimit;
  readonly #knee: Knee;
  readonly #now: () => number;
  readonly #guests = new Map<string, Guest>();
  /** Sums of the weights of a priority band's guests. */
  readonly #weights = new Map<number, number>();
  #sweepAtMs = 0;

  constructor(limit: ConcurrencyLimit, now: () => number) {
    this.#limit = limit;
    this.#knee = new Knee(now);
    this.#now = now;
  }

  /** How many may be inside at once for those above their share to get one more place in. */
  get held(): number {
    return Math.max(1, Math.min(this.#limit.limit, Math.floor(this.#knee.at)));
  }

  hasRoomFor(tenant: Tenant): boolean {
    const { limit, inFlight, free } = this.#limit;
    if (!free) return false;
    const guest = this.#guests.get(tenant.projectId);
    const share = this.#shareOf(tenant, guest);
    if (share === 0) return true;
    const { held } = this;
    const within = (guest?.inFlight ?? 0) < share;
    return inFlight < (within ? Math.min(limit, Math.ceil(held * BEYOND)) : held);
  }

  /** @returns The guest, and whether it has no more than its share. */
  enter(tenant: Tenant): Stay {
    let guest = this.#guests.get(tenant.projectId);
    if (guest === undefined) {
      const { projectId: id, weight, priority } = tenant;
      guest = { id, weight, priority, inFlight: 0, seenAtMs: 0 };
      this.#guests.set(id, guest);
      this.#weigh(priority, weight);
    } else if (guest.weight !== tenant.weight || guest.priority !== tenant.priority) {
      this.#weigh(guest.priority, -guest.weight);
      this.#weigh(tenant.priority, tenant.weight);
      guest.weight = tenant.weight;
      guest.priority = tenant.priority;
    }
    const within = guest.inFlight < this.#shareOf(tenant, guest);
    guest.inFlight += 1;
    guest.seenAtMs = this.#now();
    return { guest, within };
  }

  leave({ guest }: Stay): void {
    guest.inFlight -= 1;
  }

  /** A reply has begun, or a whole one is there. */
  answered(sample: Sample): void {
    this.#knee.observe(sample, this.#limit.limit);
  }

  /** Of the requests up to the knee, at least one; 0: nobody else is there to share with. */
  #shareOf(tenant: Tenant, guest: Guest | undefined): number {
    if (this.#guests.size === (guest === undefined ? 0 : 1)) return 0;
    this.#sweep();
    const others = this.#othersWeight(tenant, guest);
    return others <= 0 ? 0 : Math.max(1, (this.held * tenant.weight) / (others + tenant.weight));
  }

  /** Those that a tenant may take nothing from: of its own band and of better ones. */
  #othersWeight({ priority }: Tenant, own: Guest | undefined): number {
    let weight = 0;
    for (const [band, weights] of this.#weights) if (band <= priority) weight += weights;
    return own === undefined || own.priority > priority ? weight : weight - own.weight;
  }

  #weigh(priority: number, weight: number): void {
    const sum = (this.#weights.get(priority) ?? 0) + weight;
    if (sum > 1e-9) this.#weights.set(priority, sum);
    else this.#weights.delete(priority);
  }

  #sweep(): void {
    const nowMs = this.#now();
    if (nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + SWEEP_EVERY_MS;
    for (const guest of this.#guests.values()) {
      if (guest.inFlight > 0 || nowMs - guest.seenAtMs < ACTIVE_MS) continue;
      this.#guests.delete(guest.id);
      this.#weigh(guest.priority, -guest.weight);
    }
  }
}

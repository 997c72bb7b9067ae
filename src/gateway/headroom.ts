import { Knee, type Sample } from './knee.ts';
import type { Tenant } from './tenant.ts';

/** Whoever sent nothing for so long shares the backend no longer. */
const ACTIVE_MS = 60_000;
/** Whoever had a line for itself within this time has much to do, and room is kept for others than it. */
const HEAVY_MS = 5_000;
const SWEEP_EVERY_MS = 500;
/** Of what the backend may have, this share is left to those that have little; the least is one place of four. */
const LEFT_FREE = 0.1;
const LEAST_TO_SHARE = 4;

/** What a backend has room for. */
export interface Room {
  /** Requests inside at once that several tenants may fill together. */
  readonly limit: number;
  readonly inFlight: number;
  /** One more may come in, if its tenant has a claim to it. */
  readonly free: boolean;
}

/** A tenant at one backend. */
interface Guest {
  readonly id: string;
  weight: number;
  priority: number;
  inFlight: number;
  seenAtMs: number;
  heavyAtMs: number;
}

/** One request of it. */
export interface Stay {
  readonly guest: Guest;
  /** Its tenant had less than its share while others were there. */
  readonly within: boolean;
}

/**
 * Keeps room in one backend for tenants that use little of it. Where nothing can be taken back from a request that runs, a
 * tenant that fills a backend makes others wait for its replies to end, even if they are served next. So while others are
 * active that have little to do, whoever has more than its share inside gets a place only below the knee: so many that
 * another request begins without delay. Alone, or among others that have as much to do, a tenant may have all that the limit allows.
 */
export class Headroom {
  readonly #room: Room;
  readonly #knee: Knee;
  readonly #now: () => number;
  readonly #guests = new Map<string, Guest>();
  /** Of the guests of a priority band: the sum of their weights, and as of the last sweep which of them have little to do. */
  readonly #weights = new Map<number, number>();
  readonly #light = new Map<number, Set<Guest>>();
  #sweepAtMs = 0;

  constructor(room: Room, now: () => number) {
    this.#room = room;
    this.#knee = new Knee(now);
    this.#now = now;
  }

  /** How many may be inside at once for those above their share to get one more place in. */
  get held(): number {
    const { limit } = this.#room;
    const left = limit < LEAST_TO_SHARE ? 0 : Math.max(1, Math.floor(limit * LEFT_FREE));
    return Math.max(1, Math.min(limit - left, Math.floor(this.#knee.at)));
  }

  /** @param modest It takes less than its share in any case. */
  hasRoomFor(tenant: Tenant, modest: boolean): boolean {
    const { inFlight, free, limit } = this.#room;
    if (!free || modest) return free;
    const guest = this.#guests.get(tenant.projectId);
    const share = this.#shareOf(tenant, guest);
    if (share === 0 || (guest?.inFlight ?? 0) < share || inFlight < this.held) return true;
    return inFlight < limit && !this.#keepsRoomFrom(tenant, guest);
  }

  /** @param backlog Its tenant has more in line. */
  enter(tenant: Tenant, backlog: boolean): Stay {
    const guest = this.#guest(tenant);
    const within = guest.inFlight < this.#shareOf(tenant, guest);
    guest.inFlight += 1;
    guest.seenAtMs = this.#now();
    if (backlog) guest.heavyAtMs = guest.seenAtMs;
    return { guest, within };
  }

  leave({ guest }: Stay): void {
    guest.inFlight -= 1;
  }

  /** A reply has begun, or a whole one is there. */
  answered(sample: Sample): void {
    this.#knee.observe(sample, this.#room.limit);
  }

  #guest(tenant: Tenant): Guest {
    const { projectId: id, weight, priority } = tenant;
    let guest = this.#guests.get(id);
    if (guest?.weight === weight && guest.priority === priority) return guest;
    if (guest === undefined) {
      guest = { id, weight, priority, inFlight: 0, seenAtMs: 0, heavyAtMs: Number.NEGATIVE_INFINITY };
      this.#guests.set(id, guest);
    } else {
      this.#weigh(guest, -guest.weight);
      guest.weight = weight;
      guest.priority = priority;
    }
    this.#weigh(guest, weight);
    return guest;
  }

  /** Of the requests that are no trouble to anybody, at least one; 0: nobody else is there to share with. */
  #shareOf({ priority, weight }: Tenant, guest: Guest | undefined): number {
    if (this.#guests.size === (guest === undefined ? 0 : 1)) return 0;
    this.#sweep();
    // Nothing is taken from a better band for a worse one.
    let others = guest === undefined || guest.priority > priority ? 0 : -guest.weight;
    for (const [band, weights] of this.#weights) if (band <= priority) others += weights;
    return others <= 0 ? 0 : Math.max(1, (this.#knee.calmAmong * weight) / (others + weight));
  }

  #keepsRoomFrom({ priority }: Tenant, guest: Guest | undefined): boolean {
    for (const [band, light] of this.#light)
      if (band <= priority && light.size > (guest !== undefined && light.has(guest) ? 1 : 0)) return true;
    return false;
  }

  #weigh({ priority }: Guest, more: number): void {
    const sum = (this.#weights.get(priority) ?? 0) + more;
    if (sum > 1e-9) this.#weights.set(priority, sum);
    else this.#weights.delete(priority);
  }

  #sweep(): void {
    const nowMs = this.#now();
    if (nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + SWEEP_EVERY_MS;
    this.#light.clear();
    for (const guest of this.#guests.values()) {
      if (guest.inFlight === 0 && nowMs - guest.seenAtMs > ACTIVE_MS) {
        this.#guests.delete(guest.id);
        this.#weigh(guest, -guest.weight);
      } else if (nowMs - guest.heavyAtMs > HEAVY_MS) {
        const light = this.#light.get(guest.priority) ?? new Set<Guest>();
        this.#light.set(guest.priority, light.add(guest));
      }
    }
  }
}

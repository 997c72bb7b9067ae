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
/** So many inside, and so many times what the others have there on average: that is much, whether it has a line or not. */
const MUCH = 4;
const TIMES_THE_OTHERS = 3;

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
  /** If nothing of its reply is there by then, it is late. */
  readonly lateAtMs: number;
}

/**
 * Keeps room in one backend for tenants that use little of it. Where nothing can be taken back from a request that runs, a
 * tenant that fills a backend makes others wait for its replies to end, even if they are served next. So while others are
 * active that have little to do, whoever has much and more than its share inside gets a place only below the knee: so many that
 * another request begins without delay; and none as long as somebody there waits for longer than is usual. Alone, or among others
 * that have as much to do, a tenant may have all that the limit allows.
 */
export class Headroom {
  readonly #room: Room;
  readonly #knee: Knee;
  readonly #now: () => number;
  readonly #guests = new Map<string, Guest>();
  /** Of the guests of a priority band: the sum of their weights, and as of the last sweep which of them have little to do. */
  readonly #weights = new Map<number, number>();
  readonly #light = new Map<number, Set<Guest>>();
  /** Of several tenants: whose replies have not begun. */
  readonly #unanswered = new Set<Stay>();
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
    if (share === 0 || (guest?.inFlight ?? 0) < share) return true;
    if (inFlight < this.held && !this.#isAnyLate) return true;
    return inFlight < limit && !(this.#hasMuch(guest) && this.#keepsRoomFrom(tenant, guest));
  }

  /**
   * @param backlog Its tenant has more in line.
   * @param predictMs Until something of its reply will be there; undefined: nobody knows.
   */
  enter(tenant: Tenant, backlog: boolean, predictMs: () => number | undefined): Stay {
    const guest = this.#guest(tenant);
    const within = guest.inFlight < this.#shareOf(tenant, guest);
    guest.inFlight += 1;
    guest.seenAtMs = this.#now();
    if (backlog) guest.heavyAtMs = guest.seenAtMs;
    const predictedMs = this.#guests.size > 1 ? predictMs() : undefined;
    if (predictedMs === undefined) return { guest, within, lateAtMs: Number.POSITIVE_INFINITY };
    const stay = { guest, within, lateAtMs: guest.seenAtMs + this.#knee.lateMs(predictedMs) };
    this.#unanswered.add(stay);
    return stay;
  }

  /** Something of its reply is there. */
  begun(stay: Stay): void {
    this.#unanswered.delete(stay);
  }

  leave(stay: Stay): void {
    stay.guest.inFlight -= 1;
    this.#unanswered.delete(stay);
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

  get #isAnyLate(): boolean {
    const nowMs = this.#now();
    for (const { lateAtMs } of this.#unanswered) if (lateAtMs < nowMs) return true;
    return false;
  }

  /** It has had a line for itself, or far more inside than others have: few that come at random times have that. */
  #hasMuch(guest: Guest | undefined): boolean {
    if (guest === undefined) return false;
    const { inFlight, weight, heavyAtMs } = guest;
    if (this.#now() - heavyAtMs <= HEAVY_MS) return true;
    let others = -weight;
    for (const weights of this.#weights.values()) others += weights;
    return (
      inFlight >= MUCH && inFlight * others > TIMES_THE_OTHERS * (this.#room.inFlight - inFlight) * weight
    );
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

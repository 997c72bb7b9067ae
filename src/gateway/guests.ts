import type { Asked } from './light-demand.ts';
import type { Tenant } from './tenant.ts';

/** A tenant that has sent nothing for this long no longer has a share of the backend. */
const ACTIVE_MS = 60_000;
/** A tenant that has had a line of its own within this time is heavy. */
const HEAVY_MS = 5_000;
const SWEEP_EVERY_MS = 500;
/**
 * Without a line, a tenant is heavy with this many inside, if it has this many times as many inside, and has sent this many
 * times as many of late, as the others on average.
 */
const MUCH = 3;
const TIMES_THE_OTHERS = 3;
/** Fewer are no sign of anything. */
const LEAST_ARRIVALS = 2;
/** What a tenant has sent is forgotten to two thirds in half the time that requests stay, and neither sooner nor later than this. */
const ARRIVALS_MS = { least: 1_000, most: 10_000 };

/** A tenant at one backend. */
export interface Guest {
  readonly id: string;
  weight: number;
  priority: number;
  inFlight: number;
  /** How many of those have no reply yet. */
  unanswered: number;
  /** How many have come; older ones count less. */
  arrivals: number;
  seenAtMs: number;
  heavyAtMs: number;
  /** Since it is taken to be light; undefined: it is not, or has sent nothing yet. */
  asked: Asked | undefined;
}

/**
 * The tenants at one backend. A tenant is heavy if it has had a line of its own of late, or sends and has far more inside
 * than others; it is light otherwise.
 */
export class Guests {
  readonly #now: () => number;
  readonly #byId = new Map<string, Guest>();
  /** By priority band: the sum of its guests' weights, and which of them were light at the last sweep. */
  readonly #weights = new Map<number, number>();
  readonly #light = new Map<number, Set<Guest>>();
  readonly #stayMs: () => number;
  #sweepAtMs = 0;

  /** @param stayMs How long requests are inside, as far as is known. */
  constructor(now: () => number, stayMs: () => number) {
    this.#now = now;
    this.#stayMs = stayMs;
  }

  get size(): number {
    return this.#byId.size;
  }

  get({ projectId }: Tenant): Guest | undefined {
    return this.#byId.get(projectId);
  }

  /** The tenant as a guest, new if need be. */
  of({ projectId: id, weight, priority }: Tenant): Guest {
    let guest = this.#byId.get(id);
    if (guest?.weight === weight && guest.priority === priority) return guest;
    if (guest === undefined) {
      const [seenAtMs, heavyAtMs] = [this.#now(), Number.NEGATIVE_INFINITY];
      guest = {
        id,
        weight,
        priority,
        inFlight: 0,
        unanswered: 0,
        arrivals: 0,
        seenAtMs,
        heavyAtMs,
        asked: undefined,
      };
      this.#byId.set(id, guest);
      this.#markLight(guest);
    } else {
      this.#weigh(guest, -guest.weight);
      guest.weight = weight;
      guest.priority = priority;
    }
    this.#weigh(guest, weight);
    return guest;
  }

  /** @param backlog It has more in line. */
  enter(guest: Guest, backlog: boolean): void {
    const nowMs = this.#now();
    guest.inFlight += 1;
    guest.arrivals = 1 + this.#arrivalsOf(guest, nowMs);
    guest.seenAtMs = nowMs;
    if (backlog) guest.heavyAtMs = nowMs;
  }

  /** The share of a tenant's weight; 0: nobody else is there to share with. */
  shareOf(tenant: Tenant): number {
    const { priority, weight } = tenant;
    if (this.size === (this.get(tenant) === undefined ? 0 : 1)) return 0;
    this.#sweep();
    // It may have been forgotten itself.
    const guest = this.get(tenant);
    // Nothing is taken from a better band for a worse one.
    let others = guest === undefined || guest.priority > priority ? 0 : -guest.weight;
    for (const [band, weights] of this.#weights) if (band <= priority) others += weights;
    return others <= 0 ? 0 : weight / (others + weight);
  }

  /** @param inFlight Of all. */
  isHeavy(guest: Guest, inFlight: number): boolean {
    const nowMs = this.#now();
    if (nowMs - guest.heavyAtMs <= HEAVY_MS) return true;
    if (guest.inFlight < MUCH) return false;
    let others = -guest.weight;
    for (const weights of this.#weights.values()) others += weights;
    const isFarMore = (own: number, theirs: number) =>
      own * others > TIMES_THE_OTHERS * theirs * guest.weight;
    if (!isFarMore(guest.inFlight, inFlight - guest.inFlight)) return false;
    const arrivals = this.#arrivalsOf(guest, nowMs);
    if (arrivals < LEAST_ARRIVALS) return false;
    let theirs = -arrivals;
    for (const one of this.#byId.values()) theirs += this.#arrivalsOf(one, nowMs);
    return isFarMore(arrivals, theirs);
  }

  /** How many of so many inside are heavy tenants'. */
  insideOfHeavy(inFlight: number): number {
    let sum = 0;
    for (const guest of this.#byId.values()) if (this.isHeavy(guest, inFlight)) sum += guest.inFlight;
    return sum;
  }

  /** A light tenant is there, other than this one, of its band or a better one. */
  hasLightBeside(tenant: Tenant): boolean {
    const guest = this.get(tenant);
    for (const [band, light] of this.#light)
      if (band <= tenant.priority && light.size > (guest !== undefined && light.has(guest) ? 1 : 0))
        return true;
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
    for (const guest of this.#byId.values()) {
      if (guest.inFlight === 0 && nowMs - guest.seenAtMs > ACTIVE_MS) {
        this.#byId.delete(guest.id);
        this.#weigh(guest, -guest.weight);
      } else if (nowMs - guest.heavyAtMs > HEAVY_MS) this.#markLight(guest);
    }
  }

  #markLight(guest: Guest): void {
    const light = this.#light.get(guest.priority) ?? new Set<Guest>();
    this.#light.set(guest.priority, light.add(guest));
  }

  #arrivalsOf({ arrivals, seenAtMs }: Guest, nowMs: number): number {
    const forgetMs = Math.min(ARRIVALS_MS.most, Math.max(ARRIVALS_MS.least, this.#stayMs() / 2));
    return arrivals * Math.exp((seenAtMs - nowMs) / forgetMs);
  }
}

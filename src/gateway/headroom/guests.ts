import type { Tenant } from '../request/tenant.ts';
import type { Asked } from './light-demand.ts';
import { isLoudAmong, MUCH, type Presence, TIMES_THE_OTHERS } from './loudness.ts';

/** A tenant that has sent nothing for this long no longer has a share of the backend. */
const ACTIVE_MS = 60_000;
/** A tenant that has had a line of its own within this time is heavy. */
const HEAVY_MS = 5_000;
const SWEEP_EVERY_MS = 500;
/**
 * What a tenant has sent is forgotten to two thirds in half the time that requests stay, and neither sooner nor later
 * than this.
 */
const ARRIVALS_MS = { least: 1_000, most: 10_000 };
/**
 * How often it is, and all are looked at anew; in between only who sends something is. With thousands of guests a
 * look takes as long as many requests.
 */
const LOOK_EVERY_MS = 100;

/** A tenant at one backend. */
export interface Guest extends Presence {
  readonly id: string;
  readonly organizationId: string | undefined;
  weight: number;
  priority: number;
  inFlight: number;
  /** How many of those have no reply yet. */
  unanswered: number;
  arrivals: number;
  /** When it was last looked at it had far more inside than others, and sent far more. */
  isLoud: boolean;
  seenAtMs: number;
  heavyAtMs: number;
  /** Since it is taken to be light; undefined: it is not, or has sent nothing yet. */
  asked: Asked | undefined;
}

/**
 * The tenants at one backend. A tenant is heavy if it has had a line of its own of late, or sends and has far more inside
 * than others, by itself or with others of its organization that weigh next to nothing; it is light otherwise.
 */
export class Guests {
  readonly #now: () => number;
  readonly #byId = new Map<string, Guest>();
  /** The sum of their weights. */
  #weight = 0;
  /** How many are of an organization, and the sum of their weights. */
  readonly #organizations = new Map<string | undefined, { guests: number; weight: number }>();
  /** By priority band: the sum of its guests' weights, and which of them were light at the last sweep. */
  readonly #weights = new Map<number, number>();
  readonly #light = new Map<number, Set<Guest>>();
  readonly #stayMs: () => number;
  #sweepAtMs = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

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
  of({ projectId: id, organizationId, weight, priority }: Tenant): Guest {
    let guest = this.#byId.get(id);
    if (guest?.weight === weight && guest.priority === priority) return guest;
    if (guest === undefined) {
      const [seenAtMs, heavyAtMs] = [this.#now(), Number.NEGATIVE_INFINITY];
      guest = {
        id,
        organizationId,
        weight,
        priority,
        inFlight: 0,
        unanswered: 0,
        arrivals: 0,
        isLoud: false,
        seenAtMs,
        heavyAtMs,
        asked: undefined,
      };
      this.#byId.set(id, guest);
      this.#markLight(guest);
    } else {
      this.#weigh(guest, -1);
      guest.weight = weight;
      guest.priority = priority;
    }
    this.#weigh(guest, 1);
    return guest;
  }

  /** A request of the tenant finds no place at once. */
  asked(tenant: Tenant): void {
    const guest = this.get(tenant);
    if (guest !== undefined) this.#count(guest);
  }

  /** It has a line of its own, whether or not any of it is let in. */
  waitsInLine(tenant: Tenant): void {
    const guest = this.get(tenant);
    if (guest !== undefined) guest.heavyAtMs = this.#now();
  }

  /** @param hasLine It has a line of its own. */
  enter(guest: Guest, hasLine: boolean): void {
    guest.inFlight += 1;
    this.#count(guest);
    if (hasLine) guest.heavyAtMs = this.#now();
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

  /** It has at least its part, by weight, of so many inside. */
  hasItsPart({ inFlight, weight }: Guest, ofAll: number): boolean {
    return inFlight > 0 && inFlight * this.#weight >= ofAll * weight;
  }

  isHeavy(guest: Guest): boolean {
    const nowMs = this.#now();
    this.#lookIfDue(nowMs);
    return isHeavyAt(guest, nowMs);
  }

  /** Heavy tenants send more than all others together. */
  isMostOfHeavy(): boolean {
    const nowMs = this.#now();
    let more = 0;
    for (const guest of this.#byId.values())
      more += isHeavyAt(guest, nowMs) ? guest.arrivals : -guest.arrivals;
    return more > 0;
  }

  /** How many requests inside are heavy tenants'. */
  insideOfHeavy(): number {
    const nowMs = this.#now();
    this.#lookIfDue(nowMs);
    let sum = 0;
    for (const guest of this.#byId.values()) if (isHeavyAt(guest, nowMs)) sum += guest.inFlight;
    return sum;
  }

  /** What heavy tenants of its band or a better one, itself in any case, have inside together, and their share by weight. */
  heavyWith(tenant: Guest): { readonly inside: number; readonly share: number } {
    const nowMs = this.#now();
    this.#lookIfDue(nowMs);
    let inside = 0;
    let weight = 0;
    let weights = 0;
    for (const guest of this.#byId.values()) {
      if (guest.priority > tenant.priority) continue;
      weights += guest.weight;
      if (guest !== tenant && !isHeavyAt(guest, nowMs)) continue;
      inside += guest.inFlight;
      weight += guest.weight;
    }
    return { inside, share: weight / weights };
  }

  /** A light tenant is there, other than this one, of its band or a better one. */
  hasLightBeside(tenant: Tenant): boolean {
    const guest = this.get(tenant);
    for (const [band, light] of this.#light)
      if (band <= tenant.priority && light.size > (guest !== undefined && light.has(guest) ? 1 : 0))
        return true;
    return false;
  }

  /** One more request, inside or not. */
  #count(guest: Guest): void {
    const nowMs = this.#now();
    this.#lookIfDue(nowMs);
    guest.arrivals += 1;
    guest.seenAtMs = nowMs;
    guest.isLoud = isLoudAmong(guest, this.#byId, this.#weight);
    if (this.#isOneOfMany(guest)) guest.heavyAtMs = nowMs;
  }

  /**
   * Its organization has far more than others, in projects that weigh far less than those of others do: however many it has
   * made, one place for each would be more than its share.
   */
  #isOneOfMany({ organizationId }: Guest): boolean {
    const own = this.#organizations.get(organizationId);
    const others = this.size - (own?.guests ?? 0);
    if (own === undefined || own.guests < 2 || others === 0) return false;
    const weightOfOthers = (this.#weight - own.weight) / others;
    if (own.weight / own.guests >= weightOfOthers / TIMES_THE_OTHERS) return false;
    const all = { inFlight: 0, arrivals: 0, weight: own.weight };
    for (const guest of this.#byId.values()) {
      if (guest.organizationId !== organizationId) continue;
      all.inFlight += guest.inFlight;
      all.arrivals += guest.arrivals;
    }
    return isLoudAmong(all, this.#byId, this.#weight);
  }

  /** @param sign 1: it is there, or as heavy as it is now; −1: no longer. */
  #weigh({ priority, organizationId, weight }: Guest, sign: 1 | -1): void {
    const sum = (this.#weights.get(priority) ?? 0) + sign * weight;
    if (sum > 1e-9) this.#weights.set(priority, sum);
    else this.#weights.delete(priority);
    this.#weight += sign * weight;
    const own = this.#organizations.get(organizationId) ?? { guests: 0, weight: 0 };
    own.guests += sign;
    own.weight += sign * weight;
    if (own.guests > 0) this.#organizations.set(organizationId, own);
    else this.#organizations.delete(organizationId);
  }

  #sweep(): void {
    const nowMs = this.#now();
    if (nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + SWEEP_EVERY_MS;
    this.#light.clear();
    for (const guest of this.#byId.values()) {
      if (guest.inFlight === 0 && nowMs - guest.seenAtMs > ACTIVE_MS) {
        this.#byId.delete(guest.id);
        this.#weigh(guest, -1);
      } else if (nowMs - guest.heavyAtMs > HEAVY_MS) this.#markLight(guest);
    }
  }

  #markLight(guest: Guest): void {
    const light = this.#light.get(guest.priority) ?? new Set<Guest>();
    this.#light.set(guest.priority, light.add(guest));
  }

  #lookIfDue(nowMs: number): void {
    const forMs = nowMs - this.#lookedAtMs;
    if (forMs < LOOK_EVERY_MS) return;
    this.#lookedAtMs = nowMs;
    const forgetMs = Math.min(ARRIVALS_MS.most, Math.max(ARRIVALS_MS.least, this.#stayMs() / 2));
    const left = Math.exp(-forMs / forgetMs);
    for (const guest of this.#byId.values()) guest.arrivals *= left;
    for (const guest of this.#byId.values()) guest.isLoud = isLoudAmong(guest, this.#byId, this.#weight);
  }
}

function isHeavyAt({ heavyAtMs, isLoud, inFlight }: Guest, nowMs: number): boolean {
  return nowMs - heavyAtMs <= HEAVY_MS || (isLoud && inFlight >= MUCH);
}

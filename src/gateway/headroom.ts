import { type Fared, Knee } from './knee.ts';
import { LightDemand } from './light-demand.ts';
import type { Tenant } from './tenant.ts';
import { Unqueued } from './unqueued.ts';

/** A tenant that has sent nothing for this long no longer has a share of the backend. */
const ACTIVE_MS = 60_000;
/** A tenant that has had a line of its own within this time is heavy: room is kept from it for others. */
const HEAVY_MS = 5_000;
const SWEEP_EVERY_MS = 500;
const ARRIVALS_MS = 1_000;
/** As long as a light tenant has sent something within this time, what is usual can be learnt from it. */
const LEARN_MS = 2_000;
/** As long as nobody has been answered, nothing is to be learnt after this time. */
const UNHEARD_MS = 500;
/**
 * A tenant with this many inside, and this many times what the others have there on average, is heavy, whether it has
 * a line or not: see `TIMES_THE_OTHERS`.
 */
const MUCH = 3;
/** This many inside, or without an answer, are little. */
const LITTLE = 2;
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
  /** How many of those have no reply yet. */
  unanswered: number;
  /** That came, the older ones count less. */
  arrivals: number;
  seenAtMs: number;
  heavyAtMs: number;
}

/**
 * What a tenant has inside: `little` is less than its share, or hardly anything; `much` is more, of a heavy tenant;
 * `some` is in between.
 */
type Size = 'little' | 'some' | 'much';

/** One request of a guest. */
export interface Stay {
  readonly guest: Guest;
  readonly size: Size;
  /** The largest of all that were inside, itself included. */
  readonly company: Size;
  /** How many pressing ones had no answer when it came, itself included if it is one of them. */
  readonly unanswered: number;
  /** It is a heavy tenant's, above its share; where there are pauses between prompts, also within it. */
  readonly pressing: boolean;
  /** Its tenant is light, as far as is known. */
  readonly isLight: boolean;
  readonly enteredAtMs: number;
  /** If nothing of its reply is there by then, it is late. */
  readonly lateAtMs: number;
}

/**
 * Keeps room in one backend for tenants that use little of it. Nothing can be taken back from a request that runs: a
 * tenant that fills a backend makes others wait for its replies to end, even if they are served next.
 *
 * A tenant is heavy if it has had a line of its own of late, or sends and has far more inside than others; it is light
 * otherwise.
 *
 *   - While light tenants are active, a heavy one that has its share inside gets another place only below the knee (so many
 *     that another request still begins without delay), less the places that light ones will need before others become
 *     free (`LightDemand`); and none while anybody there waits for longer than is usual.
 *   - A tenant that is alone may have all that do not queue there. When a second one comes, the knee begins carefully again.
 *   - Among others that are heavy, too, it may have all that the limit allows.
 */
export class Headroom {
  readonly #room: Room;
  readonly #knee: Knee;
  readonly #unqueued: Unqueued;
  readonly #demand: LightDemand;
  readonly #now: () => number;
  readonly #guests = new Map<string, Guest>();
  /** By priority band: the sum of its guests' weights, and which of them were light at the last sweep. */
  readonly #weights = new Map<number, number>();
  readonly #light = new Map<number, Set<Guest>>();
  /** Those whose replies have not begun; nobody's while a tenant is alone. */
  readonly #unanswered = new Set<Stay>();
  /** The pressing ones among them. */
  readonly #pressing = new Set<Stay>();
  /** Stays, by their size. */
  readonly #inside: Record<Size, number> = { little: 0, some: 0, much: 0 };
  #sweepAtMs = 0;
  /** The heavy tenant that came in last, and how many are little for it. */
  #loudest: { readonly guest: Guest; readonly little: number } | undefined;
  #pressedAtMs = Number.NEGATIVE_INFINITY;
  #lightAtMs = Number.NEGATIVE_INFINITY;
  #firstAtMs = Number.POSITIVE_INFINITY;
  /** What was predicted for the latest that was judged; undefined: none ever was. */
  #expectedMs: number | undefined;

  constructor(room: Room, now: () => number) {
    this.#room = room;
    this.#knee = new Knee(now);
    this.#unqueued = new Unqueued(now);
    this.#demand = new LightDemand(now);
    this.#now = now;
  }

  /** Heavy tenants above their share get one more place only while fewer than this are inside. */
  get held(): number {
    const most = this.#most;
    return Math.max(1, Math.min(most - this.#demand.reserve(most, this.#expectedMs ?? 0), this.#knee.at));
  }

  /** May be inside at once, as far as is known. */
  get #most(): number {
    return Math.min(this.#room.limit, this.#knee.most);
  }

  /** A tenant that is alone may soon have more than now. */
  get opens(): boolean {
    return this.#unqueued.opensTo(this.#room.limit);
  }

  /** @param modest It takes less than its share in any case. */
  hasRoomFor(tenant: Tenant, modest: boolean): boolean {
    const { inFlight, free } = this.#room;
    if (!free || modest) return free;
    const guest = this.#guests.get(tenant.projectId);
    const share = this.#shareOf(tenant, guest);
    if (share === 0) return tenant.projectId === '' || (this.#unqueued.allows(inFlight) && this.#mayLearn);
    const own = guest?.inFlight ?? 0;
    if (own === 0 || !this.#hasMuch(guest) || !this.#keepsRoomFrom(tenant, guest)) return true;
    // Where others feel a single prompt, no share is so large that there need be no pause before the next.
    if (own < share) return this.#knee.unanswered.at >= 1 || this.#mayPress;
    return inFlight < this.held && this.#mayPress && !this.#isAnyLate;
  }

  /**
   * @param backlog Its tenant has more in line.
   * @param predictMs Until something of its reply will be there; undefined: nobody knows.
   */
  enter(tenant: Tenant, backlog: boolean, predictMs: () => number | undefined): Stay {
    const guest = this.#guest(tenant);
    const share = this.#shareOf(tenant, guest);
    const within = guest.inFlight < share;
    guest.inFlight += 1;
    const enteredAtMs = this.#now();
    guest.arrivals = 1 + arrivalsOf(guest, enteredAtMs);
    guest.seenAtMs = enteredAtMs;
    this.#unqueued.enter();
    this.#firstAtMs = Math.min(this.#firstAtMs, enteredAtMs);
    if (backlog) guest.heavyAtMs = enteredAtMs;
    const isLight = !this.#hasMuch(guest);
    if (isLight) this.#demand.enter();
    if (isLight && this.#room.inFlight >= this.#most) this.#demand.foundNone();
    const hasMuch = !isLight && (!within || this.#knee.unanswered.at < 1);
    const isMuch = hasMuch && !within && guest.inFlight > LITTLE;
    const size = isMuch ? 'much' : within || guest.unanswered < LITTLE ? 'little' : 'some';
    this.#inside[size] += 1;
    const { much, some } = this.#inside;
    const isAlone = this.#guests.size <= 1;
    const company = isAlone || much > 0 ? 'much' : some > 0 ? 'some' : 'little';
    const predictedMs = isAlone ? undefined : predictMs();
    const lateAtMs =
      predictedMs === undefined ? Number.POSITIVE_INFINITY : enteredAtMs + this.#knee.lateMs(predictedMs);
    const unanswered = this.#pressing.size + (hasMuch ? 1 : 0);
    const stay: Stay = {
      guest,
      size,
      company,
      unanswered,
      pressing: hasMuch,
      isLight,
      enteredAtMs,
      lateAtMs,
    };
    if (hasMuch) {
      this.#loudest = { guest, little: Math.max(LITTLE, Math.ceil(share)) };
      this.#pressing.add(stay);
      this.#pressedAtMs = enteredAtMs;
    }
    this.#unanswered.add(stay);
    guest.unanswered += 1;
    return stay;
  }

  /** Something of its reply is there. */
  begun(stay: Stay): void {
    if (this.#unanswered.delete(stay)) stay.guest.unanswered -= 1;
    if (this.#pressing.delete(stay)) this.#knee.unanswered.answered(this.#now() - stay.enteredAtMs);
  }

  leave(stay: Stay): void {
    stay.guest.inFlight -= 1;
    this.#inside[stay.size] -= 1;
    this.begun(stay);
    this.#unqueued.leave();
    if (stay.isLight) this.#demand.leave();
    this.#demand.stayed(this.#now() - stay.enteredAtMs);
  }

  /**
   * A reply has begun, or a whole one is there.
   *
   * @param idle Its tenant has nothing in line.
   * @param heldUp It was in line, although its tenant had nothing running.
   */
  answered(stay: Stay, kind: 'first-token' | 'whole', fared: Fared, idle: boolean, heldUp: boolean): void {
    const { startedAtMs, tookMs, predictedMs } = fared;
    if (heldUp && stay.isLight) this.#demand.foundNone();
    this.#unqueued.answered(kind, tookMs, predictedMs, fared, this.#demand.stayMs);
    this.#expectedMs = predictedMs;
    // A tenant that is alone holds up nobody.
    if (this.#guests.size <= 1 && !this.#knee.knowsUsual && tookMs > this.#knee.lateMs(predictedMs)) return;
    // That a tenant is heavy is known only after a while.
    const light = idle && stay.size !== 'much' && !this.#hasMuch(stay.guest);
    const { guest, little } = this.#loudest ?? { guest: stay.guest, little: Number.POSITIVE_INFINITY };
    const company = guest.inFlight > little ? 'much' : stay.company;
    const isAfterIt = stay.pressing ? this.#pressedAtMs > stay.enteredAtMs : this.#pressedAtMs >= startedAtMs;
    const undisturbed = !isAfterIt && stay.unanswered === (stay.pressing ? 1 : 0);
    const unanswered = Math.max(stay.unanswered, isAfterIt ? 1 : 0);
    if (light) this.#lightAtMs = this.#now();
    this.#knee.observe(
      {
        ...fared,
        stayMs: this.#demand.stayMs,
        light,
        company,
        unanswered,
        undisturbed,
        stream: kind === 'first-token',
      },
      this.#room.limit,
    );
  }

  #guest(tenant: Tenant): Guest {
    const { projectId: id, weight, priority } = tenant;
    let guest = this.#guests.get(id);
    if (guest?.weight === weight && guest.priority === priority) return guest;
    if (guest === undefined) {
      guest = {
        id,
        weight,
        priority,
        inFlight: 0,
        unanswered: 0,
        arrivals: 0,
        seenAtMs: this.#now(),
        heavyAtMs: Number.NEGATIVE_INFINITY,
      };
      // What was calm for one alone, who waits for nobody else, need not be so for others.
      if (this.#guests.size === 1) this.#knee.restart();
      this.#guests.set(id, guest);
      this.#markLight(guest);
    } else {
      this.#weigh(guest, -guest.weight);
      guest.weight = weight;
      guest.priority = priority;
    }
    this.#weigh(guest, weight);
    return guest;
  }

  /**
   * A tenant's share of the requests that are no trouble to anybody, at least one; 0: nobody else is there to share
   * with.
   */
  #shareOf({ priority, weight }: Tenant, guest: Guest | undefined): number {
    if (this.#guests.size === (guest === undefined ? 0 : 1)) return 0;
    this.#sweep();
    // Nothing is taken from a better band for a worse one.
    let others = guest === undefined || guest.priority > priority ? 0 : -guest.weight;
    for (const [band, weights] of this.#weights) if (band <= priority) others += weights;
    return others <= 0 ? 0 : Math.max(1, (this.held * weight) / (others + weight));
  }

  /**
   * Whether one more pressing request may be without an answer. Until it is known what is usual, there may be one at
   * a time, whose own answer then tells.
   */
  get #mayPress(): boolean {
    if (this.#expectedMs === undefined) return true;
    const { knowsUsual, unanswered } = this.#knee;
    if (knowsUsual || this.#now() - this.#lightAtMs > LEARN_MS) return unanswered.allows(this.#pressing.size);
    return this.#unanswered.size === 0 && this.#pressing.size === 0;
  }

  /** As long as it is not known what is usual, one that is alone waits for its first answers, too, but not for long. */
  get #mayLearn(): boolean {
    if (this.#knee.knowsUsual || this.#unanswered.size === 0 || this.#room.inFlight < LITTLE) return true;
    return this.#now() - this.#firstAtMs > (this.#expectedMs === undefined ? UNHEARD_MS : LEARN_MS);
  }

  get #isAnyLate(): boolean {
    const nowMs = this.#now();
    for (const { lateAtMs } of this.#unanswered) if (lateAtMs < nowMs) return true;
    return false;
  }

  /**
   * It is heavy: it has had a line of its own, or far more inside than others have, which few have whose requests
   * come at random times.
   */
  #hasMuch(guest: Guest | undefined): boolean {
    if (guest === undefined) return false;
    const { inFlight, weight, heavyAtMs } = guest;
    if (this.#now() - heavyAtMs <= HEAVY_MS) return true;
    if (inFlight < MUCH) return false;
    let others = -weight;
    for (const weights of this.#weights.values()) others += weights;
    const times = (own: number, theirs: number) => own * others > TIMES_THE_OTHERS * theirs * weight;
    if (!times(inFlight, this.#room.inFlight - inFlight)) return false;
    const nowMs = this.#now();
    const arrivals = arrivalsOf(guest, nowMs);
    if (arrivals < LITTLE) return false;
    let theirs = -arrivals;
    for (const one of this.#guests.values()) theirs += arrivalsOf(one, nowMs);
    return times(arrivals, theirs);
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
        if (this.#loudest?.guest === guest) this.#loudest = undefined;
        this.#weigh(guest, -guest.weight);
      } else if (nowMs - guest.heavyAtMs > HEAVY_MS) this.#markLight(guest);
    }
  }

  #markLight(guest: Guest): void {
    const light = this.#light.get(guest.priority) ?? new Set<Guest>();
    this.#light.set(guest.priority, light.add(guest));
  }
}

function arrivalsOf({ arrivals, seenAtMs }: Guest, nowMs: number): number {
  return arrivals * Math.exp((seenAtMs - nowMs) / ARRIVALS_MS);
}

import { stalledMs } from '../../core/turn-clock.ts';
import type { AnswerKind } from '../backend/concurrency-limit.ts';
import type { Tenant } from '../request/tenant.ts';
import { type Guest, Guests } from './guests.ts';
import { Knee } from './knee.ts';
import type { Fared } from './knee-evidence.ts';
import { Asked, LightDemand } from './light-demand.ts';
import { type Stay, Stays } from './stays.ts';
import { Unqueued } from './unqueued.ts';

/** As long as a light tenant has sent something within this time, what is usual can be learnt from it. */
const LEARN_MS = 2_000;
/** That a tenant is heavy is known no later than this, as a rule. */
const MISTAKEN_MS = 5_000;
/** This many inside, or without an answer, are little. */
const LITTLE = 2;

/** What a backend has room for. */
export interface Room {
  /** Requests inside at once that several tenants may fill together. */
  readonly limit: number;
  readonly inFlight: number;
  /** One more may come in, if its tenant has a claim to it. */
  readonly free: boolean;
  /** More are inside than were found to be too many since they came. */
  readonly isExceeded?: boolean;
}

/**
 * Keeps room in one backend for tenants that use little of it. Nothing can be taken back from a request that runs: a
 * tenant that fills a backend makes others wait for its replies to end, even if they are served next.
 *
 *   - While light tenants are active, heavy ones that have their share inside together get another place only below the knee
 *     (so many that another request still begins without delay), less the places that light ones will need before others
 *     become free (`LightDemand`); and none while anybody there waits for longer than is usual. Whose turn it is among them
 *     is up to the line.
 *   - Where one more would queue there, whoever has its part of those inside waits, be it alone, or beside others of whom
 *     nobody knows yet that they are heavy. When a second tenant comes, the knee begins carefully again.
 *   - Among others that are heavy, too, it may have all that the limit allows.
 *   - Where the limit has been cut below what is inside, a light one need not wait until a heavy one's have left.
 */
export class Headroom {
  readonly #room: Room;
  readonly #knee: Knee;
  readonly #unqueued: Unqueued;
  readonly #demand: LightDemand;
  readonly #now: () => number;
  readonly #guests: Guests;
  readonly #stays = new Stays();
  #lightAtMs = Number.NEGATIVE_INFINITY;
  /** What was predicted for the latest that was judged; undefined: none ever was. */
  #expectedMs: number | undefined;

  constructor(room: Room, now: () => number) {
    this.#room = room;
    this.#knee = new Knee(now);
    this.#unqueued = new Unqueued(now);
    this.#demand = new LightDemand(now);
    this.#guests = new Guests(now, () => this.#demand.stayMs);
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
    return this.#guests.size <= 1 && this.#unqueued.opensTo(this.#room.limit);
  }

  /** A request of the tenant finds no place at once. */
  asked(tenant: Tenant): void {
    this.#guests.asked(tenant);
  }

  /** @param hasLine It has a line of its own. */
  hasRoomFor(tenant: Tenant, hasLine: boolean): boolean {
    const { inFlight, free } = this.#room;
    if (!free) return this.#mayExceed(tenant);
    if (hasLine) this.#guests.waitsInLine(tenant);
    const guest = this.#guests.get(tenant);
    const isAlone = this.#shareOf(tenant) === 0;
    if (guest === undefined) return true;
    const isHeavy = this.#guests.isHeavy(guest);
    if (isHeavy) this.#wasTakenForLight(guest);
    if (this.#guests.hasItsPart(guest, inFlight) && !this.#beginsAtOnce(tenant)) return false;
    return isAlone || !isHeavy || !this.#guests.hasLightBeside(tenant) || this.#hasRoomForHeavy(guest);
  }

  /**
   * @param hasLine Its tenant has a line of its own.
   * @param predictMs Until something of its reply will be there; undefined: nobody knows.
   */
  enter(tenant: Tenant, hasLine: boolean, predictMs: () => number | undefined): Stay {
    // First, as it forgets tenants that have long been away, and this one may be one of them.
    const share = this.#shareOf(tenant);
    // What is calm for one that is alone need not be so for others.
    if (this.#guests.size === 1 && this.#guests.get(tenant) === undefined) this.#knee.restart();
    const guest = this.#guests.of(tenant);
    const enteredAtMs = this.#now();
    this.#guests.enter(guest, hasLine);
    this.#unqueued.enter();
    const asked = this.#askedBy(guest);
    if (asked !== undefined && this.#room.inFlight > this.#most) this.#demand.foundNone();
    const isAlone = this.#guests.size <= 1;
    const { size, pressing } = this.#sizeUp(guest, share, asked === undefined);
    const predictedMs = isAlone ? undefined : predictMs();
    const stay: Stay = {
      guest,
      size,
      company: isAlone ? 'much' : this.#stays.companyOf(size),
      unanswered: this.#stays.pressing + (pressing ? 1 : 0),
      pressing,
      asked,
      enteredAtMs,
      stalledMs: stalledMs(),
      lateAtMs:
        predictedMs === undefined ? Number.POSITIVE_INFINITY : enteredAtMs + this.#knee.lateMs(predictedMs),
    };
    this.#stays.enter(stay);
    return stay;
  }

  /** Something of its reply is there. */
  begun(stay: Stay): void {
    if (this.#stays.begun(stay)) this.#knee.unanswered.answered(this.#now() - stay.enteredAtMs);
  }

  /** It takes no place any more, or none for now. */
  wentAway(stay: Stay): void {
    this.#stays.wentAway(stay);
    if (stay.asked !== undefined) this.#demand.leave(stay.asked);
  }

  cameBack(stay: Stay): void {
    this.#stays.cameBack(stay);
    if (stay.asked !== undefined) this.#demand.cameBack(stay.asked);
  }

  leave(stay: Stay, heldUp = false): void {
    this.wentAway(stay);
    this.begun(stay);
    this.#unqueued.leave();
    if (!heldUp) this.#demand.stayed(this.#now() - stay.enteredAtMs);
  }

  /**
   * A reply has begun, or a whole one is there.
   *
   * @param idle Its tenant has nothing in line.
   */
  answered(stay: Stay, kind: AnswerKind, fared: Fared, idle: boolean, foundNoPlace: boolean): void {
    const { startedAtMs, predictedMs } = fared;
    // While this process was at something else the backend may have answered long ago.
    const tookMs = Math.max(0, fared.tookMs - (stalledMs() - stay.stalledMs));
    if (foundNoPlace && stay.asked !== undefined) this.#demand.foundNone();
    this.#unqueued.answered(kind, tookMs, predictedMs, fared);
    this.#expectedMs = predictedMs;
    // A tenant that is alone holds up nobody.
    const alone = this.#guests.size <= 1;
    if (alone && !this.#knee.knowsUsual && tookMs > this.#knee.lateMs(predictedMs)) return;
    // That a tenant is heavy is known only after a while.
    const light = idle && stay.size !== 'much' && !this.#guests.isHeavy(stay.guest);
    const isAfterIt = this.#stays.wasPressedAfter(stay, startedAtMs);
    const undisturbed = !isAfterIt && stay.unanswered === (stay.pressing ? 1 : 0);
    const unanswered = Math.max(stay.unanswered, isAfterIt ? 1 : 0);
    if (light) this.#lightAtMs = this.#now();
    this.#knee.observe(
      {
        ...fared,
        tookMs,
        stayMs: this.#demand.stayMs,
        light,
        // What has come since may be what it waited for.
        company: this.#stays.companyOf(stay.company),
        unanswered,
        undisturbed,
        stream: kind === 'first-token',
      },
      this.#room.limit,
    );
  }

  /** Beside light ones. */
  #hasRoomForHeavy(guest: Guest): boolean {
    const { inside, share } = this.#guests.heavyWith(guest);
    if (inside === 0) return true;
    // Where others feel a single prompt, no share is so large that there need be no pause before the next.
    if (inside < this.#placesOf(share)) return this.#knee.unanswered.at >= 1 || this.#mayPress;
    return this.#room.inFlight < this.held && this.#mayPress && !this.#stays.isAnyLate(this.#now());
  }

  /**
   * How much the guest, or all heavy ones together, have inside with the request that has just come.
   *
   * @param share The guest's own (`#shareOf`).
   */
  #sizeUp(guest: Guest, share: number, isHeavy: boolean): Pick<Stay, 'size' | 'pressing'> {
    const heavy = isHeavy && share > 0 ? this.#guests.heavyWith(guest) : undefined;
    const inside = heavy?.inside ?? guest.inFlight;
    const isWithin = inside <= (heavy === undefined ? share : this.#placesOf(heavy.share));
    const pressing = isHeavy && (!isWithin || this.#knee.unanswered.at < 1);
    if (isHeavy && !isWithin && inside > LITTLE) return { size: 'much', pressing };
    return { size: isWithin || guest.unanswered < LITTLE ? 'little' : 'some', pressing };
  }

  /** One more by a tenant that is light. */
  #askedBy(guest: Guest): Asked | undefined {
    if (this.#guests.isHeavy(guest)) this.#wasTakenForLight(guest);
    else {
      guest.asked ??= new Asked(this.#now());
      this.#demand.enter(guest.asked);
    }
    return guest.asked;
  }

  /**
   * What a heavy tenant asked for before it was known to be is no light tenant's demand. Where most comes from such tenants,
   * what others took beside them meanwhile is not usual.
   */
  #wasTakenForLight(guest: Guest): void {
    const { asked } = guest;
    if (asked === undefined) return;
    this.#demand.forget(asked);
    guest.asked = undefined;
    if (this.#guests.isMostOfHeavy()) this.#knee.mistook(Math.max(asked.sinceMs, this.#now() - MISTAKEN_MS));
  }

  /**
   * A tenant's own share of the requests that are no trouble to anybody, at least one; 0: nobody else is there to share
   * with.
   */
  #shareOf(tenant: Tenant): number {
    const share = this.#guests.shareOf(tenant);
    return share === 0 ? 0 : this.#placesOf(share);
  }

  #placesOf(share: number): number {
    return Math.max(1, this.held * share);
  }

  /**
   * Whether one more pressing request may be without an answer. Until it is known what is usual, there may be one at
   * a time, whose own answer then tells.
   */
  get #mayPress(): boolean {
    if (this.#expectedMs === undefined) return true;
    const { knowsUsual, unanswered } = this.#knee;
    if (knowsUsual || this.#now() - this.#lightAtMs > LEARN_MS)
      return unanswered.allows(this.#stays.pressing);
    return this.#stays.unanswered === 0;
  }

  /** What heavy tenants have too many of inside keeps out nobody else, who would wait for all of it to leave. */
  #mayExceed(tenant: Tenant): boolean {
    const { inFlight, limit, isExceeded } = this.#room;
    if (isExceeded !== true) return false;
    const share = this.#shareOf(tenant);
    const guest = this.#guests.get(tenant);
    const isLight = guest === undefined || (guest.inFlight < share && !this.#guests.isHeavy(guest));
    return isLight && share > 0 && inFlight - this.#guests.insideOfHeavy() < limit;
  }

  /** One more would not queue in the backend. Where nobody needs a key, all are one tenant, whom nobody waits for. */
  #beginsAtOnce({ projectId }: Tenant): boolean {
    return projectId === '' || this.#unqueued.allows(this.#room.inFlight) || this.#mayTrickle;
  }

  /** Whoever has waited for longer than is usual queues there: one more would stand behind it. */
  get #mayTrickle(): boolean {
    const nowMs = this.#now();
    const waitedMs = nowMs - (this.#stays.oldestEnteredAtMs ?? nowMs);
    return waitedMs <= (this.#expectedMs ?? Number.POSITIVE_INFINITY) && this.#unqueued.trickles;
  }
}

import type { RateLeft, RateStatus } from '../core/error.ts';
import type { Admission, AdmissionAsk, Reservation } from '../gateway/request/admission.ts';
import { leftOf } from './leaky-bucket.ts';
import { type Periods, periodsAt } from './periods.ts';
import { refusal, type SubjectKind } from './refusal.ts';
import { Share } from './share.ts';
import { SteadyClock } from './steady-clock.ts';
import type { Allowed, Obstacle, Spent, Subject, Used, Wanted } from './subject.ts';
import { countable, type Party, partiesOf, type SpentTotals, Subjects } from './subjects.ts';

export interface LocalAdmissionOptions {
  /** The share of every limit, 0 to 1, that this process may give out. Default: all. */
  readonly share?: number;
  readonly clock?: SteadyClock;
}

/**
 * Counts in this process: all limits of a request are looked at and taken in one go, with nothing in between.
 *
 *   admit ── all have room? ── no ──▶ refused, nothing is taken
 *                │ yes
 *              take ──▶ … the request runs … ──▶ settle: give back, or charge, the difference
 */
export class LocalAdmission implements Admission {
  readonly #clock: SteadyClock;
  readonly #subjects: Subjects;
  /** Callers stay the same objects from request to request. */
  readonly #lastOf = new WeakMap<AdmissionAsk['caller'], LastCounted>();
  #share: Share;
  #reserved = 0;

  constructor({ share = 1, clock = new SteadyClock() }: LocalAdmissionOptions = {}) {
    this.#share = new Share(share);
    this.#clock = clock;
    this.#subjects = new Subjects(clock);
  }

  get share(): number {
    return this.#share.share;
  }

  /** Of every limit, from the next request on. */
  set share(share: number) {
    if (share !== this.#share.share) this.#share = new Share(share);
  }

  /** Requests that are admitted and not settled. */
  get reserved(): number {
    return this.#reserved;
  }

  get subjectCount(): number {
    return this.#subjects.size;
  }

  /** @throws AppError `rate_limit_exceeded`, `insufficient_quota` */
  admit(ask: AdmissionAsk): LocalReservation {
    const nowMs = this.#clock.nowMs();
    const periods = this.#clock.periods(nowMs);
    const wanted = wantedOf(ask);
    const all = this.#counted(ask);
    for (const one of all) {
      if (!one.isLimited) continue;
      const obstacle = one.subject.obstacle(one, wanted, nowMs, periods);
      if (obstacle !== undefined) throw this.#refusal(obstacle, one, all, wanted, nowMs);
    }
    return this.#take(all, wanted, nowMs);
  }

  /** Counts what somebody else has admitted. */
  hold(ask: AdmissionAsk): LocalReservation {
    return this.#take(this.#counted(ask), wantedOf(ask), this.#clock.nowMs());
  }

  /** @param atMs Unix milliseconds that the totals are of. */
  refreshSpent(totals: SpentTotals, atMs: number): void {
    this.#subjects.raise(totals, periodsAt(atMs));
  }

  /** What everybody has spent in the current periods, as far as is known here. */
  spent(kind: SubjectKind, id: string, periods: Periods): Spent {
    return this.#subjects.get(kind, id).spentIn(periods);
  }

  /** What is in use; undefined: nobody knows the subject. */
  inUse(kind: SubjectKind, id: string): Subject['inUse'] | undefined {
    return this.#subjects.find(kind, id)?.inUse;
  }

  #counted(ask: AdmissionAsk): readonly Counted[] {
    this.#subjects.sweepIfDue();
    const { sweeps } = this.#subjects;
    const share = this.#share;
    const { caller, model, modelLimits } = ask;
    const last = this.#lastOf.get(caller);
    if (
      last?.model === model &&
      last.modelLimits === modelLimits &&
      last.share === share &&
      last.sweeps === sweeps
    )
      return last.all;
    const all = partiesOf(ask).map(
      (party) => new Counted(party, this.#subjects.get(party.kind, party.id), share),
    );
    this.#lastOf.set(caller, { model, modelLimits, share, sweeps, all });
    return all;
  }

  #take(all: readonly Counted[], wanted: Wanted, nowMs: number): LocalReservation {
    const tokensEnds = all.map((one) => one.subject.take(one, wanted, nowMs));
    this.#reserved += 1;
    return new LocalReservation(rateOf(all, nowMs), { all, wanted, tokensEnds }, this.#settle);
  }

  readonly #settle = ({ all, wanted, tokensEnds }: Taken, { tokens, nanoUsd }: Used): void => {
    this.#reserved -= 1;
    const used = { tokens: countable(tokens), nanoUsd: countable(nanoUsd) };
    const nowMs = this.#clock.nowMs();
    const periods = this.#clock.periods(nowMs);
    for (let i = 0; i < all.length; i++)
      all[i]!.subject.settle(all[i]!, wanted, tokensEnds[i]!, used, nowMs, periods);
  };

  #refusal(obstacle: Obstacle, one: Counted, all: readonly Counted[], wanted: Wanted, nowMs: number) {
    const told = { ...obstacle, retryAfterMs: one.subject.comeBackMs(obstacle, nowMs) };
    return refusal(told, one.kind, one.whole, wanted, rateOf(all, nowMs), one.limits);
  }
}

export class LocalReservation implements Reservation {
  readonly rate: RateStatus;
  #taken: Taken | undefined;
  readonly #settle: (taken: Taken, used: Used) => void;

  constructor(rate: RateStatus, taken: Taken, settle: (taken: Taken, used: Used) => void) {
    this.rate = rate;
    this.#taken = taken;
    this.#settle = settle;
  }

  /** @throws Error the second time. */
  settle(used: Used): void {
    const taken = this.#taken;
    if (taken === undefined) throw new Error('a reservation was settled twice');
    this.#taken = undefined;
    this.#settle(taken, used);
  }
}

/** What was set aside for a request. */
interface Taken {
  readonly all: readonly Counted[];
  readonly wanted: Wanted;
  /** As each subject told. */
  readonly tokensEnds: readonly number[];
}

/** What a caller's last request counted for, and what that depends on. */
interface LastCounted {
  readonly model: string;
  readonly modelLimits: AdmissionAsk['modelLimits'];
  readonly share: Share;
  readonly sweeps: number;
  readonly all: readonly Counted[];
}

class Counted implements Allowed {
  readonly kind: SubjectKind;
  readonly subject: Subject;
  readonly limits: Allowed['limits'];
  readonly whole: Allowed['limits'];
  readonly share: number;
  /** Most callers have limits in one place only: on their key, or on their project. */
  readonly isLimited: boolean;

  constructor({ kind, limits }: Party, subject: Subject, share: Share) {
    this.kind = kind;
    this.subject = subject;
    this.isLimited = Object.values(limits).some((limit) => limit !== undefined);
    this.whole = limits;
    this.limits = share.of(limits);
    this.share = share.share;
  }
}

export function wantedOf({ tokens, nanoUsd, mostNanoUsd = nanoUsd }: AdmissionAsk): Wanted {
  return {
    tokens: countable(tokens),
    nanoUsd: countable(nanoUsd),
    mostNanoUsd: countable(Math.max(nanoUsd, mostNanoUsd)),
  };
}

/** Of the limits that leave the least: what is left here for sure, however much other processes may still give out. */
function rateOf(all: readonly Counted[], nowMs: number): RateStatus {
  let requests: RateLeft | undefined;
  let tokens: RateLeft | undefined;
  for (const { kind, limits, whole, subject, isLimited } of all) {
    // How much others leave of a model is not for callers to know.
    if (!isLimited || kind === 'model') continue;
    const { requestsPerMinute, tokensPerMinute } = limits;
    if (requestsPerMinute !== undefined)
      requests = tighter(
        requests,
        leftOf(subject.requestsLevel(requestsPerMinute, nowMs), requestsPerMinute, whole.requestsPerMinute),
      );
    if (tokensPerMinute !== undefined)
      tokens = tighter(
        tokens,
        leftOf(subject.tokensLevel(tokensPerMinute, nowMs), tokensPerMinute, whole.tokensPerMinute),
      );
  }
  return { requests, tokens };
}

/** The limit that leaves less. */
export function tighter(a: RateLeft | undefined, b: RateLeft): RateLeft {
  return a !== undefined && a.remaining <= b.remaining ? a : b;
}

import type { Limits } from '../core/caller.ts';
import type { RateLeft, RateStatus } from '../core/error.ts';
import type { Admission, AdmissionAsk, Reservation } from '../gateway/admission.ts';
import { refusal, type SubjectKind } from './refusal.ts';
import { shareOf } from './share.ts';
import { SteadyClock } from './steady-clock.ts';
import { type Spent, Subject, type Wanted } from './subject.ts';

/** What the ledger has of a subject. */
export type SpentBefore = (kind: SubjectKind, id: string) => Spent | undefined;

export interface LocalAdmissionOptions {
  /** Of every limit, 0 to 1: what this process may give out. Default: all. */
  readonly share?: number;
  readonly clock?: SteadyClock;
  /** What was spent before this process began to count. */
  readonly spentBefore?: SpentBefore;
}

interface Counted {
  readonly kind: SubjectKind;
  readonly limits: Limits;
  readonly subject: Subject;
}

const NO_LIMITS: Limits = {};
const NOTHING: Spent = { day: 0, month: 0 };
/** Subjects known before those that nobody would miss are looked for. */
const SWEEP_FROM = 10_000;

/**
 * Counts in this process: all limits of a request are looked at and taken in one go, with nothing in between.
 *
 *   admit ── all have room? ── no ──▶ refused, nothing is taken
 *                │ yes
 *              take ──▶ … the request runs … ──▶ settle: give back, or charge, the difference
 */
export class LocalAdmission implements Admission {
  readonly #clock: SteadyClock;
  readonly #share: number;
  readonly #spentBefore: SpentBefore;
  readonly #subjects: Readonly<Record<SubjectKind, Map<string, Subject>>> = {
    key: new Map(),
    project: new Map(),
    organization: new Map(),
    model: new Map(),
  };
  #sweepAt = SWEEP_FROM;

  constructor({ share = 1, clock = new SteadyClock(), spentBefore }: LocalAdmissionOptions = {}) {
    this.#share = share;
    this.#clock = clock;
    this.#spentBefore = spentBefore ?? (() => undefined);
  }

  /** @throws AppError `rate_limit_exceeded`, `insufficient_quota` */
  admit({ caller, model, modelLimits, tokens, nanoUsd }: AdmissionAsk): Reservation {
    const clock = this.#clock;
    const nowMs = clock.nowMs();
    const periods = clock.periods();
    const wanted: Wanted = { tokens, nanoUsd };
    const all = [
      this.#counted('key', caller.keyId, caller.limits.key),
      this.#counted('project', caller.projectId, caller.limits.project),
      this.#counted('organization', caller.organizationId, caller.limits.organization),
      this.#counted('model', model, modelLimits ?? NO_LIMITS),
    ];
    for (const { kind, limits, subject } of all) {
      const obstacle = subject.obstacle(limits, wanted, nowMs, periods);
      if (obstacle !== undefined) throw refusal(obstacle, kind, limits, wanted, rateOf(all, nowMs));
    }
    for (const { limits, subject } of all) subject.take(limits, wanted, nowMs);
    let settled = false;
    return {
      rate: rateOf(all, nowMs),
      settle: (used) => {
        if (settled) throw new Error('a reservation was settled twice');
        settled = true;
        const now = clock.nowMs();
        const then = clock.periods();
        const real = { tokens: countable(used.tokens), nanoUsd: countable(used.nanoUsd) };
        for (const { limits, subject } of all) subject.settle(limits, wanted, real, now, then);
      },
    };
  }

  /** What is in use; undefined: nobody knows the subject. */
  inUse(kind: SubjectKind, id: string): Subject['inUse'] | undefined {
    return this.#subjects[kind].get(id)?.inUse;
  }

  #counted(kind: SubjectKind, id: string, limits: Limits): Counted {
    return {
      kind,
      limits: this.#share === 1 ? limits : shareOf(limits, this.#share),
      subject: this.#subject(kind, id),
    };
  }

  #subject(kind: SubjectKind, id: string): Subject {
    const known = this.#subjects[kind];
    let subject = known.get(id);
    if (subject === undefined) {
      if (known.size >= this.#sweepAt) this.#sweep(known);
      const { day, month } = this.#spentBefore(kind, id) ?? NOTHING;
      const spent = { day: Math.ceil(day * this.#share), month: Math.ceil(month * this.#share) };
      subject = new Subject(this.#clock.periods(), spent);
      known.set(id, subject);
    }
    return subject;
  }

  #sweep(known: Map<string, Subject>): void {
    const nowMs = this.#clock.nowMs();
    for (const [id, subject] of known) if (subject.isIdle(nowMs)) known.delete(id);
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * known.size);
  }
}

/** Nobody earns by what an upstream says. */
function countable(amount: number): number {
  return amount > 0 ? Math.min(amount, Number.MAX_SAFE_INTEGER) : 0;
}

/** Of the limits that leave the least. */
function rateOf(all: readonly Counted[], nowMs: number): RateStatus {
  let requests: RateLeft | undefined;
  let tokens: RateLeft | undefined;
  for (const { limits, subject } of all) {
    const { requestsPerMinute, tokensPerMinute } = limits;
    if (requestsPerMinute !== undefined)
      requests = tighter(requests, subject.requestsLeft(requestsPerMinute, nowMs));
    if (tokensPerMinute !== undefined) tokens = tighter(tokens, subject.tokensLeft(tokensPerMinute, nowMs));
  }
  return { requests, tokens };
}

function tighter(a: RateLeft | undefined, b: RateLeft): RateLeft {
  return a !== undefined && a.remaining <= b.remaining ? a : b;
}

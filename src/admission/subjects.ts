import type { Limits } from '../core/caller.ts';
import type { AdmissionAsk } from '../gateway/request/admission.ts';
import type { Periods } from './periods.ts';
import type { SubjectKind } from './refusal.ts';
import type { SteadyClock } from './steady-clock.ts';
import { type Spent, Subject } from './subject.ts';

/** What the ledger has in the current day and month, by id: of all that have spent anything, or of those where something has changed. */
export type SpentTotals = Readonly<Record<SubjectKind, Iterable<readonly [id: string, spent: Spent]>>>;

/** Somebody whom a request counts for. */
export interface Party {
  readonly kind: SubjectKind;
  readonly id: string;
  readonly limits: Limits;
}

const KINDS = ['key', 'project', 'organization', 'model'] as const satisfies readonly SubjectKind[];
const NO_LIMITS: Limits = {};
const NOTHING: Spent = { day: 0, month: 0 };
/** With more subjects than this, those that nobody would miss are looked for. */
const SWEEP_FROM = 10_000;

export function partiesOf({ caller, model, modelLimits = NO_LIMITS }: AdmissionAsk): readonly Party[] {
  const { keyId, projectId, organizationId, limits } = caller;
  return [
    { kind: 'key', id: keyId, limits: limits.key },
    { kind: 'project', id: projectId, limits: limits.project },
    { kind: 'organization', id: organizationId, limits: limits.organization },
    { kind: 'model', id: model, limits: modelLimits },
  ];
}

/** All that this process knows of; those that are idle and have spent nothing this month are forgotten. */
export class Subjects {
  readonly #clock: SteadyClock;
  readonly #known: Readonly<Record<SubjectKind, Map<string, Subject>>> = {
    key: new Map(),
    project: new Map(),
    organization: new Map(),
    model: new Map(),
  };
  #size = 0;
  #sweeps = 0;
  #sweepAt = SWEEP_FROM;

  constructor(clock: SteadyClock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#size;
  }

  /** Grows when some are forgotten: whoever has kept a subject then has to get it again. */
  get sweeps(): number {
    return this.#sweeps;
  }

  find(kind: SubjectKind, id: string): Subject | undefined {
    return this.#known[kind].get(id);
  }

  get(kind: SubjectKind, id: string, before: Spent = NOTHING): Subject {
    const known = this.#known[kind].get(id);
    if (known !== undefined) return known;
    const subject = new Subject(this.#clock.periods(), before);
    this.#known[kind].set(id, subject);
    this.#size += 1;
    return subject;
  }

  /** @param from The periods of the totals. Others than the current ones are ignored: totals come again. */
  raise(totals: SpentTotals, from: Pick<Periods, 'day' | 'month'>): void {
    const now = this.#clock.periods();
    for (const kind of KINDS)
      for (const [id, spent] of totals[kind]) {
        const day = from.day === now.day ? countable(spent.day) : 0;
        const month = from.month === now.month ? countable(spent.month) : 0;
        if (month > 0 || day > 0) this.get(kind, id, { day, month }).raise({ day, month }, now);
      }
  }

  /** Between requests only: what one is about to take looks idle. */
  sweepIfDue(): void {
    if (this.#size < this.#sweepAt) return;
    const nowMs = this.#clock.nowMs();
    const periods = this.#clock.periods();
    let size = 0;
    for (const known of Object.values(this.#known)) {
      for (const [id, subject] of known) if (subject.isIdle(nowMs, periods)) known.delete(id);
      size += known.size;
    }
    this.#size = size;
    this.#sweeps += 1;
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * size);
  }
}

/** Nobody gains by what an upstream says. */
export function countable(amount: number): number {
  return amount > 0 ? Math.min(Math.ceil(amount), Number.MAX_SAFE_INTEGER) : 0;
}

import type { Limits } from '../core/caller.ts';
import type { GatewayEvent } from '../core/event.ts';
import type { Database } from '../store/database.ts';
import type { SpentAmounts, SpentTotals } from './spent.ts';

export type BudgetSubject = 'key' | 'project' | 'organization';
export type BudgetPeriod = 'day' | 'month';

/** A budget is nearly used up. */
export interface BudgetAlarm {
  readonly subject: BudgetSubject;
  readonly subjectId: string;
  readonly period: BudgetPeriod;
  /** Which one: `2026-01-31`, or `2026-01`; in UTC. */
  readonly periodName: string;
  /** Of the budget, that has been reached: 0 to 1. */
  readonly share: number;
  readonly budgetNanoUsd: number;
  /** When it was noticed, with what came at the same time. */
  readonly spentNanoUsd: number;
  /** Unix milliseconds. */
  readonly atMs: number;
}

export interface BudgetAlarmsOptions {
  /** @throws Error while there is none */
  readonly database: () => Database;
  /** What the ledger has of the current day and month. */
  readonly totals: (nowMs: number) => Promise<SpentTotals>;
  /** Shares of a budget, 0 to 1. */
  readonly shares: readonly number[];
  /** Once for each subject, period and share, whichever of the gateways on one database notices it. */
  readonly onAlarm: (alarm: BudgetAlarm) => void;
  /** How often alarms that could not be kept are tried again, and what others have spent is read. */
  readonly everyMs?: number;
  /** Unix milliseconds. */
  readonly wall?: () => number;
}

interface Tally {
  day: number;
  month: number;
}

const SUBJECTS: readonly BudgetSubject[] = ['key', 'project', 'organization'];
const EVERY_MS = 60_000;

/**
 * Notices when a day's or a month's budget of a key, project or organization reaches a share. What this process settles counts at once, what
 * others do when the ledger is next read. A row in the database is what makes an alarm go off once only.
 */
export class BudgetAlarms {
  readonly #options: BudgetAlarmsOptions;
  readonly #wall: () => number;
  readonly #timer: NodeJS.Timeout;
  readonly #tallies: Readonly<Record<BudgetSubject, Map<string, Tally>>> = {
    key: new Map(),
    project: new Map(),
    organization: new Map(),
  };
  /** Of the current periods: gone off, here or elsewhere. */
  readonly #done = new Set<string>();
  readonly #waiting = new Map<string, BudgetAlarm>();
  #dayName = '';
  #monthName = '';
  #dayEndsMs = 0;
  #keeping: Promise<void> | undefined;
  #closed = false;

  constructor(options: BudgetAlarmsOptions) {
    this.#options = options;
    this.#wall = options.wall ?? Date.now;
    this.#timer = setInterval(() => void this.refresh(), options.everyMs ?? EVERY_MS).unref();
  }

  /** To be told everything. */
  readonly observe = (event: GatewayEvent): void => {
    if (event.type !== 'request-settled' || event.caller === undefined || event.costNanoUsd === 0) return;
    const { caller, costNanoUsd } = event;
    const { limits } = caller;
    const nowMs = this.#wall();
    this.#follow(nowMs);
    this.#add('key', caller.keyId, limits.key, costNanoUsd, nowMs);
    this.#add('project', caller.projectId, limits.project, costNanoUsd, nowMs);
    this.#add('organization', caller.organizationId, limits.organization, costNanoUsd, nowMs);
    if (this.#waiting.size > 0) this.#keep();
  };

  /** Reads what the ledger has, which is more than is known here where others spend too. Call it once at the start. */
  async refresh(): Promise<void> {
    if (this.#waiting.size > 0) this.#keep();
    const askedMs = this.#wall();
    this.#follow(askedMs);
    const day = this.#dayName;
    try {
      const totals = await this.#options.totals(askedMs);
      // Meanwhile another day may have begun.
      if (day === this.#dayName) this.#raise(totals);
    } catch {
      // The next time; the database's troubles are told by those who cannot do without it.
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#keeping;
  }

  #raise(totals: SpentTotals): void {
    for (const subject of SUBJECTS)
      for (const [id, { day, month }] of totals[subject]) {
        const tally = this.#tally(subject, id);
        tally.day = Math.max(tally.day, day);
        tally.month = Math.max(tally.month, month);
      }
  }

  #add(subject: BudgetSubject, id: string, limits: Limits, nanoUsd: number, nowMs: number): void {
    const tally = this.#tally(subject, id);
    tally.day += nanoUsd;
    tally.month += nanoUsd;
    const { nanoUsdPerDay, nanoUsdPerMonth } = limits;
    if (nanoUsdPerDay !== undefined) this.#compare(subject, id, 'day', tally, nanoUsdPerDay, nowMs);
    if (nanoUsdPerMonth !== undefined) this.#compare(subject, id, 'month', tally, nanoUsdPerMonth, nowMs);
  }

  #compare(
    subject: BudgetSubject,
    subjectId: string,
    period: BudgetPeriod,
    tally: SpentAmounts,
    budgetNanoUsd: number,
    atMs: number,
  ): void {
    const spentNanoUsd = tally[period];
    for (const share of this.#options.shares) {
      if (spentNanoUsd < share * budgetNanoUsd) continue;
      const periodName = period === 'day' ? this.#dayName : this.#monthName;
      const name = `${subject} ${subjectId} ${periodName} ${share}`;
      if (this.#done.has(name) || this.#waiting.has(name)) continue;
      const alarm = { subject, subjectId, period, periodName, share, budgetNanoUsd, spentNanoUsd, atMs };
      this.#waiting.set(name, alarm);
    }
  }

  #keep(): void {
    if (this.#closed) return;
    this.#keeping ??= this.#keepAll().finally(() => {
      this.#keeping = undefined;
    });
  }

  async #keepAll(): Promise<void> {
    for (const [name, alarm] of this.#waiting)
      try {
        const first = await keepOnce(this.#options.database(), alarm);
        this.#waiting.delete(name);
        this.#done.add(name);
        if (first) this.#options.onAlarm(alarm);
      } catch {
        // It waits for the next time.
        return;
      }
  }

  #tally(subject: BudgetSubject, id: string): Tally {
    const known = this.#tallies[subject].get(id);
    if (known !== undefined) return known;
    const tally = { day: 0, month: 0 };
    this.#tallies[subject].set(id, tally);
    return tally;
  }

  /** A clock that is set back does not bring a day back. */
  #follow(nowMs: number): void {
    if (nowMs < this.#dayEndsMs) return;
    const name = new Date(nowMs).toISOString();
    const monthName = name.slice(0, 7);
    const sameMonth = monthName === this.#monthName;
    for (const subject of SUBJECTS)
      if (sameMonth) for (const tally of this.#tallies[subject].values()) tally.day = 0;
      else this.#tallies[subject].clear();
    this.#done.clear();
    this.#dayName = name.slice(0, 10);
    this.#monthName = monthName;
    this.#dayEndsMs = Date.parse(`${this.#dayName}T00:00:00Z`) + 86_400_000;
  }
}

/** @returns Whether nobody has kept it before */
async function keepOnce({ kysely }: Database, alarm: BudgetAlarm): Promise<boolean> {
  const row = {
    subject_kind: alarm.subject,
    subject_id: alarm.subjectId,
    period: alarm.periodName,
    share: alarm.share,
    at_ms: alarm.atMs,
  };
  const { numInsertedOrUpdatedRows } = await kysely
    .insertInto('budget_alarm')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

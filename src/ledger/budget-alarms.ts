import type { Limits } from '../core/caller.ts';
import type { GatewayEvent } from '../core/event.ts';
import { turnWallMs } from '../core/turn-wall.ts';
import type { Database } from '../store/database.ts';
import { holdAlarm, keepAlarm, markTold, takeUntold } from './alarm-store.ts';
import { DAY_MS, periodsOf } from './spending.ts';
import type { SpentAmounts, SpentTotals } from './spent.ts';

export type BudgetSubject = 'key' | 'project' | 'organization';
export type BudgetPeriod = 'day' | 'month';

/** A budget is nearly used up. */
export interface BudgetAlarm {
  readonly subject: BudgetSubject;
  readonly subjectId: string;
  readonly period: BudgetPeriod;
  /** The day or month: `2026-01-31`, or `2026-01`; in UTC. */
  readonly periodName: string;
  /** The share of the budget that has been reached: 0 to 1. */
  readonly share: number;
  readonly budgetNanoUsd: number;
  /** What had been spent when it was noticed, together with whatever came at the same time. */
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
  /**
   * Tells everybody. Called once for each subject, period and share, whichever of the gateways on one database
   * notices it; once more for a budget that has been raised since; and again, by another, if this one ends before it resolves. Resolves to whether all have been told,
   * or nobody need try any more. Never rejects.
   */
  readonly onAlarm: (alarm: BudgetAlarm) => Promise<boolean>;
  /** How often alarms that could not be kept are tried again, those that nobody tells are looked for, and what others have spent is read. */
  readonly everyMs?: number;
  /** Unix milliseconds. */
  readonly wall?: () => number;
}

interface Tally {
  day: number;
  month: number;
  /** As its last request here had them. */
  limits: Limits;
}

const SUBJECTS: readonly BudgetSubject[] = ['key', 'project', 'organization'];
const EVERY_MS = 60_000;
/** A gateway that has not renewed its claim to an alarm for this many looks has died. */
const HELD_LOOKS = 3;

/**
 * Notices when a day's or a month's budget of a key, project or organization reaches a share. What this process
 * settles counts at once; what others settle counts when the ledger is next read. A row in the database makes sure
 * that an alarm goes off only once, unless the budget is raised, and remembers that it has to be told.
 */
export class BudgetAlarms {
  readonly #options: BudgetAlarmsOptions;
  readonly #wall: () => number;
  readonly #everyMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #tallies: Readonly<Record<BudgetSubject, Map<string, Tally>>> = {
    key: new Map(),
    project: new Map(),
    organization: new Map(),
  };
  /** The budgets of the current periods for which alarms have gone off, here or elsewhere. */
  readonly #done = new Map<string, number>();
  /** Not in the database yet. */
  readonly #waiting = new Map<string, BudgetAlarm>();
  /** Ours to tell, until it is done. */
  readonly #telling = new Map<string, { readonly alarm: BudgetAlarm; readonly done: Promise<void> }>();
  #dayName = '';
  #monthName = '';
  #dayEndsMs = 0;
  #keeping: Promise<void> | undefined;
  #isKeeping = false;
  #closed = false;

  constructor(options: BudgetAlarmsOptions) {
    this.#options = options;
    this.#wall = options.wall ?? turnWallMs;
    this.#everyMs = options.everyMs ?? EVERY_MS;
    this.#timer = setInterval(() => void this.refresh(), this.#everyMs).unref();
  }

  /** To be told everything: also of who was refused, since what others have spent is known from then on. */
  readonly observe = (event: GatewayEvent): void => {
    if (event.type !== 'request-settled' || event.caller === undefined) return;
    const { caller, costNanoUsd } = event;
    const { limits } = caller;
    const nowMs = this.#wall();
    this.#follow(nowMs);
    this.#add('key', caller.keyId, limits.key, costNanoUsd, nowMs);
    this.#add('project', caller.projectId, limits.project, costNanoUsd, nowMs);
    this.#add('organization', caller.organizationId, limits.organization, costNanoUsd, nowMs);
    this.#keep();
  };

  /** Reads what the ledger has, which is more than is known here where others spend too. Call it once at the start. */
  async refresh(): Promise<void> {
    this.#keep();
    const takenOver = this.#takeOver();
    const askedMs = this.#wall();
    this.#follow(askedMs);
    const day = this.#dayName;
    try {
      const totals = await this.#options.totals(askedMs);
      // By now another day may have begun.
      if (day === this.#dayName) this.#raise(totals, askedMs);
    } catch {
      // Left for the next time; the database's troubles are reported by those who cannot do without it.
    }
    await takenOver;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#keeping;
    await Promise.all([...this.#telling.values()].map(({ done }) => done));
  }

  /** Whoever has nothing left sends perhaps no more, so this may be the last occasion. */
  #raise(totals: SpentTotals, nowMs: number): void {
    for (const subject of SUBJECTS)
      for (const [id, { day, month }] of totals[subject]) {
        const tally = this.#tally(subject, id);
        tally.day = Math.max(tally.day, day);
        tally.month = Math.max(tally.month, month);
        this.#compareAll(subject, id, tally, nowMs);
      }
    this.#keep();
  }

  #add(subject: BudgetSubject, id: string, limits: Limits, nanoUsd: number, nowMs: number): void {
    const tally = this.#tally(subject, id);
    tally.day += nanoUsd;
    tally.month += nanoUsd;
    tally.limits = limits;
    this.#compareAll(subject, id, tally, nowMs);
  }

  #compareAll(subject: BudgetSubject, id: string, tally: Tally, nowMs: number): void {
    const { nanoUsdPerDay, nanoUsdPerMonth } = tally.limits;
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
    // A budget of nothing is a door that is shut.
    if (spentNanoUsd === 0) return;
    for (const share of this.#options.shares) {
      if (spentNanoUsd < share * budgetNanoUsd) continue;
      const periodName = period === 'day' ? this.#dayName : this.#monthName;
      const alarm = { subject, subjectId, period, periodName, share, budgetNanoUsd, spentNanoUsd, atMs };
      const name = nameOf(alarm);
      const noticed = this.#waiting.get(name)?.budgetNanoUsd ?? this.#done.get(name) ?? -1;
      if (noticed < budgetNanoUsd) this.#waiting.set(name, alarm);
    }
  }

  #keep(): void {
    if (this.#waiting.size === 0 || this.#closed || this.#isKeeping) return;
    this.#isKeeping = true;
    this.#keeping = this.#keepAll();
  }

  async #keepAll(): Promise<void> {
    try {
      for (const [name, alarm] of this.#waiting) {
        const first = await keepAlarm(this.#options.database(), alarm, this.#heldUntilMs);
        if (this.#waiting.get(name) === alarm) this.#waiting.delete(name);
        this.#done.set(name, alarm.budgetNanoUsd);
        if (first) this.#tell(alarm);
      }
    } catch {
      // They wait for the next time.
    } finally {
      this.#isKeeping = false;
    }
  }

  /** What we are telling stays ours; what others have not finished telling becomes ours. */
  async #takeOver(): Promise<void> {
    if (this.#closed) return;
    try {
      const database = this.#options.database();
      for (const { alarm } of this.#telling.values()) await holdAlarm(database, alarm, this.#heldUntilMs);
      for (const alarm of await takeUntold(database, this.#wall(), this.#heldUntilMs)) this.#tell(alarm);
    } catch {
      // The next time.
    }
  }

  get #heldUntilMs(): number {
    return this.#wall() + HELD_LOOKS * this.#everyMs;
  }

  #tell(alarm: BudgetAlarm): void {
    const name = `${nameOf(alarm)} ${alarm.budgetNanoUsd}`;
    if (this.#telling.has(name)) return;
    const done = this.#tellAll(alarm).finally(() => this.#telling.delete(name));
    this.#telling.set(name, { alarm, done });
  }

  async #tellAll(alarm: BudgetAlarm): Promise<void> {
    const isDone = await this.#options.onAlarm(alarm);
    try {
      const database = this.#options.database();
      if (isDone) await markTold(database, alarm, this.#wall());
      else await holdAlarm(database, alarm, 0);
    } catch {
      // Whoever comes next tells it again.
    }
  }

  #tally(subject: BudgetSubject, id: string): Tally {
    const known = this.#tallies[subject].get(id);
    if (known !== undefined) return known;
    const tally = { day: 0, month: 0, limits: {} };
    this.#tallies[subject].set(id, tally);
    return tally;
  }

  /** A clock that is set back does not bring a day back, unless it was more than one ahead. */
  #follow(nowMs: number): void {
    if (nowMs < this.#dayEndsMs && nowMs >= this.#dayEndsMs - 2 * DAY_MS) return;
    const { day, month } = periodsOf(nowMs);
    const sameMonth = month === this.#monthName;
    for (const subject of SUBJECTS)
      if (sameMonth) for (const tally of this.#tallies[subject].values()) tally.day = 0;
      else this.#tallies[subject].clear();
    this.#done.clear();
    this.#dayName = day;
    this.#monthName = month;
    this.#dayEndsMs = Date.parse(`${this.#dayName}T00:00:00Z`) + DAY_MS;
  }
}

function nameOf({ subject, subjectId, periodName, share }: BudgetAlarm): string {
  return `${subject} ${subjectId} ${periodName} ${share}`;
}

import { Counter, Gauge, type Registry } from 'prom-client';
import type { BudgetAlarmRaised, RequestSettled } from '../core/event.ts';
import { type CounterSeries, countedIn } from './series.ts';

/**
 * Counts money in whole nano-dollars, so that sums over any number of requests are exact and can be compared with the ledger. A
 * model that costs nothing has no series.
 */
export function moneyMetrics(registry: Registry): (event: RequestSettled) => void {
  const cost = byModel(
    registry,
    'qianmen_cost_nanousd_total',
    'What callers pay, in billionths of a US dollar.',
  );
  const waste = byModel(
    registry,
    'qianmen_wasted_nanousd_total',
    'What attempts that nobody got may have cost, in billionths of a US dollar.',
  );
  return ({ model, attempts, costNanoUsd }) => {
    if (model === undefined) return;
    if (costNanoUsd > 0) cost(model).add(costNanoUsd);
    for (const { wasteNanoUsd } of attempts) if (wasteNanoUsd > 0) waste(model).add(wasteNanoUsd);
  };
}

function byModel(registry: Registry, name: string, help: string): (model: string) => CounterSeries {
  const create = countedIn(registry, { name, help });
  const known = new Map<string, CounterSeries>();
  return (model) => {
    const series = known.get(model) ?? create({ model });
    known.set(model, series);
    return series;
  };
}

/** The state of what has to be recorded, and counted together. */
export interface Accounts {
  /** On disk, and not yet in the database. */
  readonly ledgerBacklogBytes: number;
  /** Rows reach the database. */
  readonly ledgerUp: boolean;
  /** Since the start: what a disk has broken before it was in the database. */
  readonly ledgerBrokenWrites: number;
  /** Since the start: what the database will not take. */
  readonly ledgerRefusedRows: number;
  /** Limits are counted as configured. */
  readonly sharedLimitsUp: boolean;
}

export function accountMetrics(
  registry: Registry,
  accounts: () => Accounts,
): (event: BudgetAlarmRaised) => void {
  const registers = [registry];
  new Gauge({
    name: 'qianmen_ledger_backlog_bytes',
    help: 'What the ledger has in its journal on disk; it grows while the database cannot be reached.',
    registers,
    collect() {
      this.set(accounts().ledgerBacklogBytes);
    },
  });
  const up = (name: string, help: string, read: (accounts: Accounts) => boolean) =>
    new Gauge({
      name,
      help,
      aggregator: 'min',
      registers,
      collect() {
        this.set(read(accounts()) ? 1 : 0);
      },
    });
  new Gauge({
    name: 'qianmen_ledger_lost',
    help: 'Since the start: writes to the journal that a disk has broken, and rows that the database refuses. They are in no sum.',
    labelNames: ['why'],
    registers,
    collect() {
      const { ledgerBrokenWrites, ledgerRefusedRows } = accounts();
      this.set({ why: 'broken' }, ledgerBrokenWrites);
      this.set({ why: 'refused' }, ledgerRefusedRows);
    },
  });
  up('qianmen_ledger_up', '1 while rows of the ledger reach the database.', ({ ledgerUp }) => ledgerUp);
  up(
    'qianmen_shared_limits_up',
    '1 while limits are counted together in Redis; 0: each gateway gives out its share.',
    ({ sharedLimitsUp }) => sharedLimitsUp,
  );
  const alarms = new Counter({
    name: 'qianmen_budget_alarms_total',
    help: 'Budgets that have reached a share of themselves.',
    labelNames: ['subject', 'period', 'share'],
    registers,
  });
  return ({ subject, period, share }) => alarms.inc({ subject, period, share: String(share) });
}

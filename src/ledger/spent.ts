import type { Database } from '../store/database.ts';
import { countLateRows } from './late-rows.ts';
import { periodsOf } from './spending.ts';

export interface SpentAmounts {
  /** Whole nano-dollars. */
  readonly day: number;
  readonly month: number;
}

/** Since the beginning of the day and of the month, by id: ids of keys, projects, organizations, and names of models. */
export interface SpentTotals {
  readonly key: ReadonlyMap<string, SpentAmounts>;
  readonly project: ReadonlyMap<string, SpentAmounts>;
  readonly organization: ReadonlyMap<string, SpentAmounts>;
  readonly model: ReadonlyMap<string, SpentAmounts>;
}

/** What the ledger has of the current day and month, in UTC. */
export async function spentTotals(database: Database, nowMs: number): Promise<SpentTotals> {
  await countLateRows(database);
  const { day, month } = periodsOf(nowMs);
  const rows = await database.kysely
    .selectFrom('spent')
    .selectAll()
    .where('period', 'in', [day, month])
    .execute();
  const totals = { key: new Map(), project: new Map(), organization: new Map(), model: new Map() } as const;
  for (const { period, key_id, project_id, organization_id, model, nano_usd } of rows) {
    const amounts = period === day ? { day: nano_usd, month: 0 } : { day: 0, month: nano_usd };
    add(totals.key, key_id, amounts);
    add(totals.project, project_id, amounts);
    add(totals.organization, organization_id, amounts);
    add(totals.model, model, amounts);
  }
  return totals;
}

function add(totals: Map<string, SpentAmounts>, id: string, { day, month }: SpentAmounts): void {
  const known = totals.get(id);
  totals.set(id, { day: (known?.day ?? 0) + day, month: (known?.month ?? 0) + month });
}

import { sql } from 'kysely';
import type { Database } from '../store/database.ts';

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
export async function spentTotals({ kysely }: Database, nowMs: number): Promise<SpentTotals> {
  const now = new Date(nowMs);
  const monthMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth());
  const dayMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate());
  const rows = await kysely
    .selectFrom('ledger')
    .select(['key_id', 'project_id', 'organization_id', 'model'])
    .select(({ fn }) => fn.sum<number>('cost_nano_usd').as('month'))
    .select(sql<number>`sum(case when at_ms >= ${dayMs} then cost_nano_usd else 0 end)`.as('day'))
    .where('at_ms', '>=', monthMs)
    .where('cost_nano_usd', '>', 0)
    .groupBy(['key_id', 'project_id', 'organization_id', 'model'])
    .execute();
  const totals = { key: new Map(), project: new Map(), organization: new Map(), model: new Map() } as const;
  const add = (map: Map<string, SpentAmounts>, id: string, { day, month }: SpentAmounts) => {
    const known = map.get(id) ?? { day: 0, month: 0 };
    map.set(id, { day: known.day + Number(day), month: known.month + Number(month) });
  };
  for (const row of rows) {
    add(totals.key, row.key_id, row);
    add(totals.project, row.project_id, row);
    add(totals.organization, row.organization_id, row);
    add(totals.model, row.model, row);
  }
  return totals;
}

import type { Database } from './database.ts';

/**
 * What it selects has to be nothing: sums in `spent` that are not those of the ledger's rows, by how much they differ.
 *
 * @param tables Of the database, which older code may have left.
 * @returns Undefined: there are no sums yet
 */
export function spentDifferences(kind: Database['kind'], tables: readonly string[]): string | undefined {
  if (!tables.includes('spent')) return undefined;
  const day =
    kind === 'sqlite'
      ? `strftime('%Y-%m-%d', at_ms / 1000, 'unixepoch')`
      : `to_char(to_timestamp(at_ms / 1000) at time zone 'UTC', 'YYYY-MM-DD')`;
  const whose = 'organization_id, project_id, key_id, model';
  const attempts = `union all select at_ms, ${whose}, cost_nano_usd from attempt join attempt_label on label_id = id`;
  return `
    with counted as (
      select at_ms, ${whose}, cost_nano_usd from ledger where counted = 1 ${tables.includes('attempt') ? attempts : ''}
    ),
    costs as (select ${day} as day, ${whose}, sum(cost_nano_usd) as nano_usd from counted where cost_nano_usd > 0 group by 1, 2, 3, 4, 5)
    select period, key_id, model, cast(sum(nano_usd) as text) as nano_usd
    from (
      select day as period, ${whose}, nano_usd from costs
      union all select substr(day, 1, 7), ${whose}, nano_usd from costs
      union all select period, ${whose}, -nano_usd from spent
    ) as compared
    group by period, ${whose} having sum(nano_usd) <> 0 limit 10`;
}

export interface SpentDifference {
  readonly period: string;
  readonly key_id: string;
  readonly model: string;
  /** Of the ledger, without what `spent` has. */
  readonly nano_usd: string;
}

export function differenceText({ period, key_id, model, nano_usd }: SpentDifference): string {
  return `what ${key_id} has spent on ${model} in ${period} is not the sum of the ledger: it differs by ${nano_usd} billionths of a dollar`;
}

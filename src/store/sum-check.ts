import { ATTEMPT_AMOUNTS, ATTEMPT_SUMS } from './attempt-sums.ts';
import type { Database } from './database.ts';

/** What is wrong, in words. */
export interface Difference {
  readonly problem: string;
}

/**
 * What these select has to be nothing: sums that are kept, and are not those of the ledger's rows.
 *
 * @param tables Of the database, which older code may have left.
 */
export function sumDifferences(kind: Database['kind'], tables: readonly string[]): readonly string[] {
  return [
    ...(tables.includes('spent') ? [spentDifferences(kind, tables.includes('attempt'))] : []),
    ...(tables.includes('attempt_day') ? [DAY_DIFFERENCES] : []),
  ];
}

function spentDifferences(kind: Database['kind'], hasAttempts: boolean): string {
  const day =
    kind === 'sqlite'
      ? `strftime('%Y-%m-%d', at_ms / 1000, 'unixepoch')`
      : `to_char(to_timestamp(at_ms / 1000) at time zone 'UTC', 'YYYY-MM-DD')`;
  const whose = 'organization_id, project_id, key_id, model';
  const attempts = `union all select at_ms, ${whose}, cost_nano_usd from attempt join attempt_label on label_id = id`;
  return `
    with counted as (
      select at_ms, ${whose}, cost_nano_usd from ledger where counted = 1 ${hasAttempts ? attempts : ''}
    ),
    costs as (select ${day} as day, ${whose}, sum(cost_nano_usd) as nano_usd from counted where cost_nano_usd > 0 group by 1, 2, 3, 4, 5)
    select 'what ' || key_id || ' has spent on ' || model || ' in ' || period || ' is not the sum of the ledger: it differs by '
      || cast(sum(nano_usd) as text) || ' billionths of a dollar' as problem
    from (
      select day as period, ${whose}, nano_usd from costs
      union all select substr(day, 1, 7), ${whose}, nano_usd from costs
      union all select period, ${whose}, -nano_usd from spent
    ) as compared
    group by period, ${whose} having sum(nano_usd) <> 0 limit 10`;
}

const DAY_DIFFERENCES = `
  select 'the sums of the attempts with label ' || cast(label_id as text) || ' on day ' || cast(day as text) || ' are not those of the rows' as problem
  from (
    select label_id, at_ms / 86400000 as day, 1 as attempts, ${ATTEMPT_AMOUNTS.join()} from attempt
    union all select label_id, day, -attempts, ${ATTEMPT_AMOUNTS.map((name) => `-${name}`).join()} from attempt_day
  ) as compared
  group by label_id, day
  having ${ATTEMPT_SUMS.map((name) => `sum(${name}) <> 0`).join(' or ')} limit 10`;

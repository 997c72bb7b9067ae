import type { Database } from '../store/database.ts';
import type { BudgetAlarm, BudgetSubject } from './budget-alarms.ts';

/**
 * Alarms in the database. Each is kept once, whoever notices it, and is then in the hands of one gateway, which
 * renews its claim until it has told everybody. A gateway that no longer renews its claim has died, and another one
 * tells.
 */

/** @returns Whether nobody has kept it before, for as large a budget: it is ours to tell */
export async function keepAlarm(
  { kysely }: Database,
  alarm: BudgetAlarm,
  heldUntilMs: number,
): Promise<boolean> {
  const row = {
    subject_kind: alarm.subject,
    subject_id: alarm.subjectId,
    period: alarm.periodName,
    share: alarm.share,
    at_ms: alarm.atMs,
    budget_nano_usd: alarm.budgetNanoUsd,
    spent_nano_usd: alarm.spentNanoUsd,
    held_until_ms: heldUntilMs,
  };
  const { numInsertedOrUpdatedRows } = await kysely
    .insertInto('budget_alarm')
    .values(row)
    .onConflict((conflict) =>
      conflict
        .columns(['subject_kind', 'subject_id', 'period', 'share'])
        .doUpdateSet({ ...row, told_at_ms: null })
        .where('budget_alarm.budget_nano_usd', '<', alarm.budgetNanoUsd),
    )
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

/** Takes over those that nobody has told and nobody is about to tell. */
export async function takeUntold(
  { kysely }: Database,
  nowMs: number,
  heldUntilMs: number,
): Promise<readonly BudgetAlarm[]> {
  // Mostly there are none. In SQLite even an update that changes nothing waits for whoever is writing, and the thread
  // that serves waits with it.
  const any = await kysely
    .selectFrom('budget_alarm')
    .select('at_ms')
    .where('told_at_ms', 'is', null)
    .where('held_until_ms', '<', nowMs)
    .limit(1)
    .execute();
  if (any.length === 0) return [];
  const rows = await kysely
    .updateTable('budget_alarm')
    .set({ held_until_ms: heldUntilMs })
    .where('told_at_ms', 'is', null)
    .where('held_until_ms', '<', nowMs)
    .returningAll()
    .execute();
  return rows.map((row) => ({
    subject: row.subject_kind as BudgetSubject,
    subjectId: row.subject_id,
    period: row.period.length === '2026-01'.length ? 'month' : 'day',
    periodName: row.period,
    share: row.share,
    budgetNanoUsd: row.budget_nano_usd,
    spentNanoUsd: row.spent_nano_usd,
    atMs: row.at_ms,
  }));
}

/** It is still being told; `heldUntilMs` 0: by nobody any more. */
export async function holdAlarm(database: Database, alarm: BudgetAlarm, heldUntilMs: number): Promise<void> {
  await set(database, alarm, { held_until_ms: heldUntilMs });
}

export async function markTold(database: Database, alarm: BudgetAlarm, toldAtMs: number): Promise<void> {
  await set(database, alarm, { told_at_ms: toldAtMs });
}

async function set(
  { kysely }: Database,
  { subject, subjectId, periodName, share, budgetNanoUsd }: BudgetAlarm,
  values: { readonly held_until_ms: number } | { readonly told_at_ms: number },
): Promise<void> {
  await kysely
    .updateTable('budget_alarm')
    .set(values)
    .where('subject_kind', '=', subject)
    .where('subject_id', '=', subjectId)
    .where('period', '=', periodName)
    .where('share', '=', share)
    .where('budget_nano_usd', '=', budgetNanoUsd)
    .execute();
}

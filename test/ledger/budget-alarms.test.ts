import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import type { Caller, Limits } from '../../src/core/caller.ts';
import type { GatewayEvent } from '../../src/core/event.ts';
import { takeUntold } from '../../src/ledger/alarm-store.ts';
import { type BudgetAlarm, BudgetAlarms, type BudgetAlarmsOptions } from '../../src/ledger/budget-alarms.ts';
import type { SpentTotals } from '../../src/ledger/spent.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { describeDatabases } from '../store/databases.ts';
import { callerOf, settled } from './events.ts';

const NOON_MS = Date.UTC(2026, 0, 31, 12);
const DAY_MS = 86_400_000;

function spending(nanoUsd: number, limits: Partial<Caller['limits']>): GatewayEvent {
  const none: Limits = {};
  const caller = { ...callerOf(1), limits: { key: none, project: none, organization: none, ...limits } };
  return { ...settled('any', caller, 3), caller, costNanoUsd: nanoUsd };
}

const nothingSpent = (): SpentTotals => ({
  key: new Map(),
  project: new Map(),
  organization: new Map(),
  model: new Map(),
});

describeDatabases('alarms of budgets', (newLocation) => {
  let database: Database;
  let nowMs: number;
  beforeEach(async () => {
    nowMs = NOON_MS;
    database = await openDatabase(await newLocation());
    return () => database.close();
  });

  function watch(given: Partial<BudgetAlarmsOptions> = {}) {
    const heard: BudgetAlarm[] = [];
    const alarms = new BudgetAlarms({
      database: () => database,
      totals: async () => nothingSpent(),
      shares: [0.85, 0.95],
      onAlarm: async (alarm) => heard.push(alarm) > 0,
      wall: () => nowMs,
      ...given,
    });
    onTestFinished(() => alarms.close());
    const names = () => heard.map(({ subject, periodName, share }) => `${subject} ${periodName} ${share}`);
    return { alarms, heard, names };
  }

  it('go off at each share, once, on key, project and organization, by day and by month', async () => {
    const { alarms, heard, names } = watch();
    const limits = {
      key: { nanoUsdPerDay: 1_000 },
      project: { nanoUsdPerMonth: 1_000 },
      organization: { nanoUsdPerDay: 10_000, nanoUsdPerMonth: 1_000 },
    };
    alarms.observe(spending(849, limits));
    alarms.observe(spending(1, limits));
    await expect.poll(() => heard.length).toBe(3);
    expect(heard[0]).toEqual({
      subject: 'key',
      subjectId: 'key_1',
      period: 'day',
      periodName: '2026-01-31',
      share: 0.85,
      budgetNanoUsd: 1_000,
      spentNanoUsd: 850,
      atMs: NOON_MS,
    });
    alarms.observe(spending(100, limits));
    alarms.observe(spending(1_000, limits));
    await expect.poll(() => heard.length).toBe(6);
    await alarms.close();
    expect(names()).toEqual([
      'key 2026-01-31 0.85',
      'project 2026-01 0.85',
      'organization 2026-01 0.85',
      'key 2026-01-31 0.95',
      'project 2026-01 0.95',
      'organization 2026-01 0.95',
    ]);
  });

  it('go off once among several gateways, and not again after a restart', async () => {
    const gateways = [watch(), watch(), watch()];
    const limits = { key: { nanoUsdPerDay: 100 } };
    for (const { alarms } of gateways) alarms.observe(spending(100, limits));
    for (const { alarms } of gateways) await alarms.close();
    expect(gateways.flatMap(({ names }) => names()).sort()).toEqual([
      'key 2026-01-31 0.85',
      'key 2026-01-31 0.95',
    ]);
    const restarted = watch();
    restarted.alarms.observe(spending(100, limits));
    await restarted.alarms.close();
    expect(restarted.heard).toEqual([]);
  });

  it('go off once more for a budget that has been raised, and for one that is lowered again not', async () => {
    const gateways = [watch(), watch()];
    const spend = async (nanoUsd: number, budget: number) => {
      for (const { alarms } of gateways)
        alarms.observe(spending(nanoUsd, { key: { nanoUsdPerDay: budget } }));
      // All that was noticed has been kept, and told.
      await Promise.all(gateways.map(({ alarms }) => alarms.refresh()));
    };
    const budgets = () => gateways.flatMap(({ heard }) => heard.map((alarm) => alarm.budgetNanoUsd));
    await spend(90, 100);
    await expect.poll(budgets).toEqual([100]);
    await spend(79, 200);
    await spend(0, 100);
    await spend(1, 200);
    await expect.poll(budgets).toHaveLength(3);
    await spend(0, 200);
    await spend(0, 100);
    for (const { alarms } of gateways) await alarms.close();
    const told = gateways.flatMap(({ heard }) => heard.map((a) => `${a.share} of ${a.budgetNanoUsd}`));
    expect(told.sort()).toEqual(['0.85 of 100', '0.85 of 200', '0.95 of 100']);
    const restarted = watch();
    restarted.alarms.observe(spending(170, { key: { nanoUsdPerDay: 200 } }));
    await restarted.alarms.close();
    expect(restarted.heard).toEqual([]);
    const left = await database.kysely.selectFrom('budget_alarm').select('told_at_ms').execute();
    expect(left.map(({ told_at_ms }) => told_at_ms)).not.toContain(null);
  });

  it('go off again in the next period, and count what was spent in it only', async () => {
    const { alarms, heard, names } = watch();
    const limits = { key: { nanoUsdPerDay: 100, nanoUsdPerMonth: 300 } };
    alarms.observe(spending(90, limits));
    await expect.poll(() => heard.length).toBe(1);
    // The last day of January is over, and with it the month.
    nowMs += DAY_MS;
    for (let i = 0; i < 3; i++) {
      alarms.observe(spending(84, limits));
      nowMs += DAY_MS;
    }
    alarms.observe(spending(10, limits));
    await expect.poll(() => heard.length).toBe(2);
    expect(names()).toEqual(['key 2026-01-31 0.85', 'key 2026-02 0.85']);
  });

  it('go off in the day to which a clock comes back that was more than one ahead', async () => {
    const { alarms, heard, names } = watch();
    const limits = { key: { nanoUsdPerDay: 100 } };
    nowMs += 1_000 * DAY_MS;
    alarms.observe(spending(10, limits));
    nowMs -= 1_000 * DAY_MS;
    alarms.observe(spending(90, limits));
    await expect.poll(() => heard.length).toBe(1);
    nowMs += DAY_MS;
    alarms.observe(spending(90, limits));
    nowMs -= DAY_MS;
    alarms.observe(spending(5, limits));
    await expect.poll(() => heard.length).toBe(3);
    expect(names()).toEqual(['key 2026-01-31 0.85', 'key 2026-02-01 0.85', 'key 2026-02-01 0.95']);
  });

  it('count what was spent before the start, and by others', async () => {
    const { alarms, heard } = watch({
      totals: async () => ({ ...nothingSpent(), key: new Map([['key_1', { day: 80, month: 80 }]]) }),
    });
    await alarms.refresh();
    alarms.observe(spending(5, { key: { nanoUsdPerDay: 100 } }));
    await expect.poll(() => heard).toMatchObject([{ share: 0.85, spentNanoUsd: 85 }]);
  });

  it('go off where it is others that spend, also when nothing more is left to spend', async () => {
    let others = 0;
    const totals = async () => ({
      ...nothingSpent(),
      key: new Map([['key_1', { day: others, month: others }]]),
    });
    const limits = { key: { nanoUsdPerDay: 100 } };
    const silent = watch({ totals });
    const refusing = watch({ totals });
    silent.alarms.observe(spending(25, limits));
    others = 90;
    await silent.alarms.refresh();
    await expect.poll(() => silent.heard).toMatchObject([{ share: 0.85, spentNanoUsd: 90 }]);
    others = 100;
    await refusing.alarms.refresh();
    refusing.alarms.observe(spending(0, limits));
    await expect.poll(() => refusing.heard).toMatchObject([{ share: 0.95, spentNanoUsd: 100 }]);
  });

  it('wait for a database that is away', async () => {
    let away = true;
    const { alarms, heard } = watch({
      database: () => {
        if (away) throw new Error('away');
        return database;
      },
      totals: () => Promise.reject(new Error('away')),
    });
    alarms.observe(spending(90, { key: { nanoUsdPerDay: 100 } }));
    await alarms.refresh();
    expect(heard).toEqual([]);
    away = false;
    await expect
      .poll(async () => {
        await alarms.refresh();
        return heard.length;
      })
      .toBe(1);
  });

  it('that a gateway did not tell to its end is told by the next one, once it is known to be dead', async () => {
    const told: string[] = [];
    const never = Promise.withResolvers<boolean>();
    const dying = watch({ onAlarm: () => never.promise, everyMs: 60_000 });
    dying.alarms.observe(spending(90, { key: { nanoUsdPerDay: 100 } }));
    const next = watch({
      onAlarm: async ({ subjectId, share, budgetNanoUsd, spentNanoUsd }) =>
        told.push(`${subjectId} ${share} ${spentNanoUsd}/${budgetNanoUsd}`) > 0,
    });
    const kept = () => database.kysely.selectFrom('budget_alarm').selectAll().execute();
    await expect.poll(kept).toHaveLength(1);
    await next.alarms.refresh();
    // It says that it is still at it.
    nowMs += 150_000;
    await dying.alarms.refresh();
    await expect.poll(async () => (await kept())[0]?.held_until_ms).toBe(nowMs + 180_000);
    nowMs += 150_000;
    await next.alarms.refresh();
    await next.alarms.close();
    expect(told).toEqual([]);
    nowMs += 150_000;
    const after = watch({
      onAlarm: async ({ subjectId, share, budgetNanoUsd, spentNanoUsd }) =>
        told.push(`${subjectId} ${share} ${spentNanoUsd}/${budgetNanoUsd}`) > 0,
    });
    await after.alarms.refresh();
    await expect.poll(() => told).toEqual(['key_1 0.85 90/100']);
    await expect.poll(async () => (await kept())[0]?.told_at_ms).toBe(nowMs);
    nowMs += 1_000_000;
    await after.alarms.refresh();
    await after.alarms.close();
    expect(told).toHaveLength(1);
    never.resolve(true);
    await dying.alarms.close();
  });

  it('that could not be told before the end of its gateway is told by the next one at once', async () => {
    const ending = watch({ onAlarm: async () => false });
    ending.alarms.observe(spending(90, { key: { nanoUsdPerDay: 100 } }));
    await expect
      .poll(() => database.kysely.selectFrom('budget_alarm').select('held_until_ms').execute())
      .toEqual([{ held_until_ms: 0 }]);
    await ending.alarms.close();
    const { alarms, names } = watch();
    await alarms.refresh();
    await expect.poll(names).toEqual(['key 2026-01-31 0.85']);
  });

  it('are looked for without waiting for who writes, as long as there are none', async () => {
    const { sqlite, kysely } = database;
    if (sqlite === undefined) return;
    const other = new Sqlite(sqlite.name);
    onTestFinished(() => void other.close());
    other.exec('begin immediate');
    expect(await takeUntold(database, nowMs, nowMs + 1)).toEqual([]);
    other.exec('rollback');
    await sql`insert into budget_alarm values ('key', 'key_1', '2026-01-31', 0.85, 1, 1000, 850, null, 0)`.execute(
      kysely,
    );
    expect(await takeUntold(database, nowMs, nowMs + 1)).toMatchObject([{ subjectId: 'key_1', share: 0.85 }]);
  });
});

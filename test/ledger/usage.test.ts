import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import type { UsageQuery } from '../../src/api/usage-reader.ts';
import { insertRows } from '../../src/ledger/insert.ts';
import { settledRows } from '../../src/ledger/row.ts';
import { usage } from '../../src/ledger/usage.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { describeDatabases } from '../store/databases.ts';
import { asOld, callerOf, settled } from './events.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);

describeDatabases('usage', (newLocation) => {
  let database: Database;
  beforeEach(async () => {
    database = await openDatabase(await newLocation());
    return () => database.close();
  });

  /** One request per minute from `START_MS`: of key `i % 4`, and with what `attemptsOf(i)` says. */
  async function spend(count: number): Promise<void> {
    const rows = Array.from({ length: count }, (_, i) => {
      const caller = callerOf(i % 4);
      const event = { ...settled(`s-${i}`, caller, i), caller, model: i % 2 === 0 ? 'even' : 'odd' };
      return settledRows(event, START_MS + i * MINUTE_MS);
    });
    await insertRows(database, rows.flat());
  }

  const ask = (query: Partial<UsageQuery>) =>
    usage(database, {
      fromMs: START_MS,
      toMs: START_MS + DAY_MS,
      groupBy: [],
      only: {},
      maxGroups: 100,
      ...query,
    });

  it('is added up over all that was asked for', async () => {
    await spend(6);
    expect(await ask({})).toEqual([
      {
        startMs: START_MS,
        by: {},
        requests: 6,
        // Of 1 and 4 the first try failed, of 2 and 5 a hedge lost.
        attempts: 10,
        promptTokens: 600,
        cachedTokens: 0,
        completionTokens: 15,
        reasoningTokens: 0,
        costNanoUsd: 630_000,
        wasteNanoUsd: 2 * 777,
      },
    ]);
  });

  it('is nothing where nothing was used', async () => {
    expect(await ask({})).toEqual([]);
    expect(await ask({ bucket: 'day', groupBy: ['project'] })).toEqual([]);
    // A page behind the last.
    expect(await ask({ bucket: 'day', fromMs: undefined as never, toMs: Number.NaN })).toEqual([]);
  });

  it('is told apart by time, then by what was asked for, and adds up to the same', async () => {
    await spend(200);
    const groups = await ask({ bucket: 'hour', groupBy: ['model', 'key'] });
    expect(groups).toHaveLength(4 * 4);
    expect(groups[0]).toMatchObject({
      startMs: START_MS,
      by: { model: 'even', key: 'key_0' },
      requests: 15,
    });
    expect(groups.map(({ startMs }) => startMs)).toEqual(
      groups.map((_, i) => START_MS + Math.floor(i / 4) * 60 * MINUTE_MS),
    );
    const [all] = await ask({});
    for (const what of ['requests', 'attempts', 'promptTokens', 'completionTokens', 'costNanoUsd'] as const)
      expect(groups.reduce((sum, group) => sum + group[what], 0)).toBe(all![what]);
    expect(await ask({ bucket: 'minute' })).toHaveLength(100);
    expect(await ask({ bucket: 'day' })).toHaveLength(1);
  });

  it('begins and ends where it was asked to', async () => {
    await spend(10);
    const [group] = await ask({ fromMs: START_MS + 2 * MINUTE_MS, toMs: START_MS + 5 * MINUTE_MS });
    expect(group).toMatchObject({ requests: 3, completionTokens: 2 + 3 + 4 });
  });

  it('is the sum of the rows in every time, whoever has written them and however often', async () => {
    const rows = Array.from({ length: 150 }, (_, i) => {
      const caller = callerOf(i % 3);
      const event = { ...settled(`s-${i}`, caller, i), caller };
      return settledRows(event, START_MS - DAY_MS + i * 37 * MINUTE_MS);
    }).flat();
    await insertRows(database, rows.slice(0, 180));
    await insertRows(database, rows.slice(90, 181));
    await insertRows(database, [...rows.slice(170), ...rows.slice(0, 30).map(asOld)]);
    const { kysely } = database;
    const added = async (fromMs: number, toMs: number) => {
      const { rows } = await sql<object>`
        select coalesce(sum(case when kind = 'first' then 1 else 0 end), 0) as requests, count(*) as attempts,
          coalesce(sum(prompt_tokens), 0) as "promptTokens", coalesce(sum(cost_nano_usd), 0) as "costNanoUsd",
          coalesce(sum(waste_nano_usd), 0) as "wasteNanoUsd"
        from every_attempt where at_ms >= ${fromMs} and at_ms < ${toMs} and key_id <> 'key_2'`.execute(
        kysely,
      );
      return rows[0];
    };
    const AMOUNTS = ['requests', 'attempts', 'promptTokens', 'costNanoUsd', 'wasteNanoUsd'] as const;
    for (const [from, to] of [
      [-24, 96],
      [-24, 24],
      [-13.3, 50.01],
      [0, 72],
      [-1, 1],
      [5, 23],
      [23.9, 48],
    ] as const)
      for (const bucket of [undefined, 'day', 'hour', 'minute'] as const) {
        const times = { fromMs: START_MS + from * 60 * MINUTE_MS, toMs: START_MS + to * 60 * MINUTE_MS };
        const only = { key: ['key_0', 'key_1'] };
        const groups = await ask({ ...times, bucket, groupBy: ['model', 'key'], only, maxGroups: 1_000 });
        const sums = AMOUNTS.map((name) => [name, groups.reduce((sum, group) => sum + group[name], 0)]);
        expect(Object.fromEntries(sums)).toEqual(await added(times.fromMs, times.toMs));
      }
  });

  it('of whole days is known without the rows, however many those are', async () => {
    await spend(6);
    const whole = await ask({ groupBy: ['model'] });
    const daily = await ask({ bucket: 'day' });
    await database.kysely.deleteFrom('attempt').execute();
    expect(await ask({ groupBy: ['model'] })).toEqual(whole);
    expect(await ask({ bucket: 'day' })).toEqual(daily);
    expect(await ask({ bucket: 'hour' })).toEqual([]);
  });

  it('of more than can be counted stands in no row’s way', async () => {
    const caller = callerOf(1);
    const most = (id: string) => ({
      ...settledRows({ ...settled(id, caller, 0), caller }, START_MS)[0]!,
      promptTokens: Number.MAX_SAFE_INTEGER,
    });
    expect(await insertRows(database, [most('a'), most('b')])).toEqual([]);
    expect(await insertRows(database, [most('c')])).toEqual([]);
    expect(await ask({ bucket: 'day' })).toMatchObject([
      { attempts: 3, promptTokens: Number.MAX_SAFE_INTEGER },
    ]);
  });

  it('names deployments with their attempts, and those that got to none', async () => {
    const { kysely } = database;
    await spend(2);
    await kysely.updateTable('attempt_label').set({ deployment: '' }).where('model', '=', 'even').execute();
    const groups = await ask({ groupBy: ['deployment'] });
    expect(groups.map(({ by, requests, attempts }) => [by.deployment, requests, attempts])).toEqual(
      expect.arrayContaining([
        [null, 1, 1],
        ['b/m', 1, 2],
      ]),
    );
  });

  describe('of one tenant', () => {
    it('never shows another’s', async () => {
      await spend(12);
      const groups = await ask({ groupBy: ['project', 'key'], only: { project: ['proj_1'] } });
      expect(groups.map(({ by }) => by)).toEqual([{ project: 'proj_1', key: 'key_1' }]);
      expect(await ask({ only: { organization: ['org_2'] } })).toEqual([]);
      expect(await ask({ only: { organization: ['org_1'], key: ['key_1', 'key_2'] } })).toMatchObject([
        { requests: 6 },
      ]);
    });

    it('is nothing where the tenant is nobody', async () => {
      await spend(3);
      expect(await ask({ only: { project: [] } })).toEqual([]);
    });

    it('takes names for what they are, not for SQL', async () => {
      await spend(3);
      const groups = await ask({ only: { project: ["x' or '1'='1", 'proj_1" or 1=1 --'] } });
      expect(groups).toEqual([]);
    });
  });
});

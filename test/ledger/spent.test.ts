import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { sql } from 'kysely';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { Drain } from '../../src/ledger/drain.ts';
import { insertRows } from '../../src/ledger/insert.ts';
import { Journal } from '../../src/ledger/journal.ts';
import { OLD_COLUMNS } from '../../src/ledger/old-row.ts';
import { type JournalRow, nameOf, retryRefused } from '../../src/ledger/refused.ts';
import { type AttemptRow, settledRows } from '../../src/ledger/row.ts';
import { spentTotals } from '../../src/ledger/spent.ts';
import { retryWhileContended } from '../../src/store/contention.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { inspectDatabase } from '../../src/store/inspect.ts';
import type { DatabaseLocation } from '../../src/store/location.ts';
import { migrate } from '../../src/store/migrate.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { describeDatabases } from '../store/databases.ts';
import { asOld, callerOf, settled } from './events.ts';

const NOON_MS = Date.UTC(2026, 1, 1, 12);
const DAY_MS = 86_400_000;
/** Of `settled(…, 0)`. */
const COST = 100_000;

function record(id: string, key = 1, atMs = NOON_MS): AttemptRow {
  const caller = callerOf(key);
  return settledRows({ ...settled(id, caller, 0), caller }, atMs)[0]!;
}

async function openUnmigrated(location: DatabaseLocation): Promise<Database> {
  const database = await openDatabase(location, { migrate: false });
  onTestFinished(() => database.close());
  return database;
}

/** The statement of gateways that knew of no sums, to the letter. */
async function insertAsBefore(
  { kysely, kind, timeoutMs }: Database,
  rows: readonly AttemptRow[],
): Promise<void> {
  const names = sql.join(OLD_COLUMNS.map((name) => sql.ref(name)));
  const json = JSON.stringify(rows.map(asOld));
  const type = (i: number) => sql.raw(i === 1 || i > 11 ? 'bigint' : i === 11 ? 'integer' : 'text');
  const values =
    kind === 'sqlite'
      ? sql`select ${sql.join(OLD_COLUMNS.map((_, i) => sql`value ->> ${sql.lit(i)}`))} from json_each(${json}) where true`
      : sql`select ${sql.join(OLD_COLUMNS.map((_, i) => sql`(value ->> ${sql.lit(i)})::${type(i)}`))}
          from json_array_elements(${json}::json)`;
  const insert = sql`insert into ledger (${names}) ${values} on conflict (id) do nothing`;
  await retryWhileContended(() => insert.execute(kysely), timeoutMs);
}

describeDatabases('what was spent', (newLocation) => {
  let location: DatabaseLocation;
  let database: Database;
  beforeEach(async () => {
    location = await newLocation();
    database = await openDatabase(location);
    return () => database.close();
  });

  const problems = async () => (await inspectDatabase(location)).problems;
  const ids = async () =>
    (await database.kysely.selectFrom('every_attempt').select('id').orderBy('id').execute()).map(
      ({ id }) => id,
    );

  it('is the sum of the rows, however often each is brought, by day and by month', async () => {
    const yesterday = record('yesterday', 1, NOON_MS - DAY_MS);
    const all = [
      record('a'),
      record('b', 2),
      record('c'),
      record('d', 4),
      yesterday,
      record('last', 1, NOON_MS + DAY_MS / 2 - 1),
      record('next', 1, NOON_MS + DAY_MS / 2),
    ];
    expect(await insertRows(database, [...all.slice(0, 3), record('a')])).toEqual([]);
    for (const some of [all.slice(2), all, all.slice(0, 2), []])
      expect(await insertRows(database, some)).toEqual([]);
    const totals = await spentTotals(database, NOON_MS);
    expect(Object.fromEntries(totals.key)).toEqual({
      key_1: { day: 3 * COST, month: 4 * COST },
      key_2: { day: COST, month: COST },
      key_4: { day: COST, month: COST },
    });
    expect(totals.project.get('proj_1')).toEqual({ day: 4 * COST, month: 5 * COST });
    expect(totals.organization.get('org_1')).toEqual({ day: 5 * COST, month: 6 * COST });
    expect(totals.model.get('m')).toEqual({ day: 5 * COST, month: 6 * COST });
    expect((await spentTotals(database, NOON_MS - DAY_MS)).key.get('key_1')).toEqual({
      day: COST,
      month: COST,
    });
    expect(await problems()).toEqual([]);
  });

  it('stays the sum where several bring the same rows at once', async () => {
    const records = Array.from({ length: 300 }, (_, i) => record(`r${i}`, i % 7));
    const others = await Promise.all([0, 1, 2].map(() => openDatabase(location)));
    for (const other of others) onTestFinished(() => other.close());
    await Promise.all(
      [database, ...others].flatMap((one, i) => [
        insertRows(one, records.slice(40 * i)),
        insertRows(one, records.toReversed()),
      ]),
    );
    expect((await spentTotals(database, NOON_MS)).organization.get('org_1')?.day).toBe(300 * COST);
    expect(await problems()).toEqual([]);
  });

  it('that is not the sum of the ledger does not pass the check', async () => {
    await insertRows(database, [record('a'), record('b', 2)]);
    await sql`update spent set nano_usd = nano_usd + 1 where key_id = 'key_2' and period = '2026-02'`.execute(
      database.kysely,
    );
    await sql`delete from spent where key_id = 'key_1' and period = '2026-02-01'`.execute(database.kysely);
    expect((await problems()).toSorted()).toEqual([
      expect.stringContaining(
        'key_1 has spent on m in 2026-02-01 is not the sum of the ledger: it differs by 100000 ',
      ),
      expect.stringContaining(
        'key_2 has spent on m in 2026-02 is not the sum of the ledger: it differs by -1 ',
      ),
    ]);
  });

  it('and those of its days do not pass it where they are not the sums of the rows', async () => {
    await insertRows(database, [record('a'), record('b', 2)]);
    await sql`update attempt_day set completion_tokens = completion_tokens + 1 where label_id = 1`.execute(
      database.kysely,
    );
    expect(await problems()).toEqual([
      expect.stringMatching(/attempts with label 1 on day 20485 are not those of the rows/),
    ]);
  });

  it('has each row once that gateways from before there were sums add before, while and after it is brought up to date', async () => {
    location = await newLocation();
    const old = await Promise.all([openUnmigrated(location), openUnmigrated(location)]);
    await migrate(old[0], MIGRATIONS.slice(0, 2));
    let isOver = false;
    let added = 0;
    // Both bring the same rows, each twice, as after a crash.
    const adding = old.map(async (one, i) => {
      for (let n = 0; !isOver; n++) {
        const rows = [record(`old${n}`), record(`old${n}b`, 2)];
        for (let time = 0; time < 2; time++) await insertAsBefore(one, rows);
        if (i === 0) added = n + 1;
        await setImmediate();
      }
      return i === 0 ? added : 0;
    });
    await expect.poll(() => added, { interval: 1 }).toBeGreaterThan(5);
    const next = [await openDatabase(location), await openDatabase(location)];
    for (const one of next) onTestFinished(() => one.close());
    const counting = next.map(async (one, i) => {
      for (let n = 0; n < 10; n++) {
        await insertRows(one, [record(`new${i}.${n}`, 3)]);
        await spentTotals(one, NOON_MS);
      }
    });
    await Promise.all(counting);
    const late = async () => {
      const { kysely } = next[0]!;
      return (await kysely.selectFrom('ledger').select('id').where('counted', '=', 0).execute()).length;
    };
    await expect.poll(late, { interval: 1 }).toBeGreaterThan(5);
    isOver = true;
    await Promise.all(adding);
    expect((await inspectDatabase(location)).problems).toEqual([]);
    const all = await Promise.all(next.map((one) => spentTotals(one, NOON_MS)));
    const rows = await next[0]!.kysely.selectFrom('every_attempt').select('key_id').execute();
    expect(await late()).toBe(0);
    for (const { key } of all)
      for (const id of ['key_1', 'key_2', 'key_3']) {
        const sum = COST * rows.filter(({ key_id }) => key_id === id).length;
        expect(sum).toBeGreaterThan(0);
        expect(key.get(id)).toEqual({ day: sum, month: sum });
      }
    expect((await inspectDatabase(location)).problems).toEqual([]);
  });

  it('before there were sums is added up when the database is brought up to date', async () => {
    const before = await openUnmigrated(await newLocation());
    await migrate(before, MIGRATIONS.slice(0, 2));
    for (const [i, atMs] of [NOON_MS, NOON_MS + 1, NOON_MS - DAY_MS].entries())
      await insertAsBefore(before, [record(`s${i}`, 1, atMs)]);
    await sql`insert into budget_alarm values ('key', 'key_1', '2026-02', 0.85, 1)`.execute(before.kysely);
    await migrate(before);
    expect((await spentTotals(before, NOON_MS)).key.get('key_1')).toEqual({
      day: 2 * COST,
      month: 2 * COST,
    });
    expect(await before.kysely.selectFrom('budget_alarm').select('told_at_ms').execute()).toEqual([
      { told_at_ms: 1 },
    ]);
  });

  it('has nothing of rows that the database refuses: they are set aside, and all others come in', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'qianmen-refused-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const journal = new Journal({ dir, name: '1-aa', onProblem: () => {} });
    for (let i = 0; i < 200; i++) {
      const settlementId = `r${i + 100}`;
      const row = record(settlementId, i % 5);
      const bad =
        i === 7 ? { label: { ...row.label, model: null as never } } : i === 30 ? { promptTokens: -100 } : {};
      journal.add({ type: 'settled', settlementId, rows: [{ ...row, ...bad }] });
    }
    journal.close();
    const insert = (rows: readonly JournalRow[]) => insertRows(database, rows);
    const drain = new Drain({ dir, own: '1-aa', insert });
    await drain.runOwn(true);
    expect(await ids()).toHaveLength(198);
    expect((await spentTotals(database, NOON_MS)).organization.get('org_1')?.day).toBe(198 * COST);
    expect(await problems()).toEqual([]);
    expect(readdirSync(dir)).toEqual(['refused-rows.jsonl']);
    const lines = readFileSync(join(dir, 'refused-rows.jsonl'), 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).row.settlementId)).toEqual(['r107', 'r130']);
    expect(lines[0]).toMatch(/"reason":".*(NOT NULL|not-null)/);
    expect([drain.refused, drain.backlogBytes()]).toEqual([2, 0]);
    // Somebody mends one of the two, and has them tried again.
    writeFileSync(join(dir, 'refused-rows.jsonl'), `${lines.join('\n').replace(':-100,', ':100,')}\n`);
    const tried = await retryRefused(dir, insert);
    expect([tried.taken, tried.rows.map(({ row }) => nameOf(row))]).toEqual([1, ['r107.0']]);
    expect((await retryRefused(dir, insert)).taken).toBe(0);
    expect(await ids()).toHaveLength(199);
    expect((await spentTotals(database, NOON_MS)).organization.get('org_1')?.day).toBe(199 * COST);
    expect(await problems()).toEqual([]);
  });
});

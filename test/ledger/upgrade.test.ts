import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { insertRows } from '../../src/ledger/insert.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import type { OldRow } from '../../src/ledger/old-row.ts';
import { nameOf, readRefused, retryRefused } from '../../src/ledger/refused.ts';
import { type AttemptRow, settledRows } from '../../src/ledger/row.ts';
import { spentTotals } from '../../src/ledger/spent.ts';
import { usage } from '../../src/ledger/usage.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { inspectDatabase } from '../../src/store/inspect.ts';
import { migrate } from '../../src/store/migrate.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { describeDatabases } from '../store/databases.ts';
import { admitted, asOld, callerOf, settled } from './events.ts';

const NOON_MS = Date.UTC(2026, 1, 1, 12);
/** Of `settled(…, 0)`. */
const COST = 100_000;

function rowOf(id: string, key = 1): AttemptRow {
  const caller = callerOf(key);
  return settledRows({ ...settled(id, caller, 0), caller }, NOON_MS)[0]!;
}

/** A block of a journal as gateways wrote it before blocks were binary, to the letter. */
function oldBlock(type: 'open' | 'settled', rows: readonly AttemptRow[]): Buffer {
  const lines = rows.map(
    (row) => `${type === 'open' ? 0 : 1} ${row.settlementId} ${JSON.stringify(asOld(row))}\n`,
  );
  const content = Buffer.from(lines.join(''));
  const hex = (number: number) => number.toString(16).padStart(8, '0');
  return Buffer.concat([Buffer.from(`${hex(crc32(content))} ${hex(content.length)}\n`), content]);
}

/** As one of those gateways brought it in; its sums follow. */
async function insertAsBefore({ kysely }: Database, row: OldRow): Promise<void> {
  const [
    id,
    at_ms,
    organization_id,
    project_id,
    key_id,
    request_id,
    endpoint,
    model,
    deployment,
    kind,
    outcome,
    ...rest
  ] = row;
  const [
    measured,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    reasoning_tokens,
    cost_nano_usd,
    waste_nano_usd,
    duration_ms,
  ] = rest;
  const what = { request_id, endpoint, model, deployment, kind, outcome, measured };
  const amounts = {
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    reasoning_tokens,
    cost_nano_usd,
    waste_nano_usd,
    duration_ms,
  };
  await kysely
    .insertInto('ledger')
    .values({ id, at_ms, organization_id, project_id, key_id, ...what, ...amounts, counted: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

describeDatabases('a ledger of one table', (newLocation) => {
  it('is brought up to date as it is, and gateways of before go on adding to it beside those of now', async () => {
    const location = await newLocation();
    const before = await openDatabase(location, { migrate: false });
    onTestFinished(() => before.close());
    await migrate(before, MIGRATIONS.slice(0, 3));
    await insertAsBefore(before, asOld(rowOf('old')));
    const now = await openDatabase(location);
    onTestFinished(() => now.close());
    expect(await insertRows(now, [rowOf('new'), rowOf('new', 1), rowOf('other', 2)])).toEqual([]);
    await insertAsBefore(before, asOld(rowOf('late')));
    expect(Object.fromEntries((await spentTotals(now, NOON_MS)).key)).toEqual({
      key_1: { day: 3 * COST, month: 3 * COST },
      key_2: { day: COST, month: COST },
    });
    expect((await inspectDatabase(location)).problems).toEqual([]);
    const query = {
      fromMs: NOON_MS,
      toMs: NOON_MS + 1,
      groupBy: ['key', 'deployment'],
      maxGroups: 10,
    } as const;
    const groups = await usage(now, { ...query, only: { project: ['proj_1'] } });
    expect(groups).toMatchObject([
      { by: { key: 'key_1', deployment: 'b/m' }, requests: 3, costNanoUsd: 3 * COST },
    ]);
    const ids = await now.kysely.selectFrom('every_attempt').select('id').orderBy('id').execute();
    expect(ids.map(({ id }) => id)).toEqual(['late.0', 'new.0', 'old.0', 'other.0']);
  });

  it('gets what gateways of before have left in journals and in rows set aside, once, whoever has brought in a part of it', async () => {
    const location = await newLocation();
    const database = await openDatabase(location);
    onTestFinished(() => database.close());
    const dir = mkdtempSync(join(tmpdir(), 'qianmen-upgrade-'));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    const journals = join(dir, 'ledger');
    mkdirSync(journals);
    const settledOnes = ['a', 'b', 'c'].map((id) => rowOf(id));
    const refused = { ...rowOf('bad'), promptTokens: -5 };
    const blocks = [
      oldBlock('open', [rowOf('a'), rowOf('running', 2)]),
      oldBlock('settled', [...settledOnes, refused]),
    ];
    writeFileSync(join(journals, '1-00ff00ff00ff-1.journal'), Buffer.concat(blocks));
    await insertAsBefore(database, asOld(settledOnes[0]!));
    const ledger = new Ledger({ location, dir: journals, maxBytes: 1e9, wall: () => NOON_MS });
    ledger.observe(admitted('own', callerOf(1), () => 0));
    ledger.observe(settled('own', callerOf(1), 0));
    expect(await ledger.flush()).toBeUndefined();
    // Gateways of before know a journal by these ends, and would bring it into the other table.
    expect(readdirSync(journals).filter((file) => /\.(?:journal|lock)$/.test(file))).toEqual([]);
    expect(readdirSync(journals).some((file) => file.endsWith('.rows'))).toBe(true);
    await ledger.close();

    const ids = async (table: 'ledger' | 'every_attempt') =>
      (await database.kysely.selectFrom(table).select('id').orderBy('id').execute()).map(({ id }) => id);
    expect(await ids('ledger')).toEqual(['a.0', 'b.0', 'c.0', 'running.0']);
    expect(await ids('every_attempt')).toEqual(['a.0', 'b.0', 'c.0', 'own.0', 'running.0']);
    expect((await inspectDatabase(location)).problems).toEqual([]);
    expect(Object.fromEntries((await spentTotals(database, NOON_MS)).key)).toMatchObject({
      key_1: { day: 4 * COST },
      key_2: { day: COST },
    });

    const found = readRefused(journals);
    expect(found.rows.map(({ row }) => nameOf(row))).toEqual(['bad.0']);
    expect(found.rows[0]!.row).toEqual(asOld(refused));
    const file = join(journals, 'refused-rows.jsonl');
    writeFileSync(file, readFileSync(file, 'utf8').replace(',-5,', ',5,'));
    expect((await retryRefused(journals, (rows) => insertRows(database, rows))).rows).toEqual([]);
    expect(await ids('ledger')).toContain('bad.0');
    expect((await inspectDatabase(location)).problems).toEqual([]);
  });
});

describe('attempts that lie by their names', () => {
  it('lie by their times from now on, as they are, and gateways of before go on adding to them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'qianmen-by-name-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const location = { kind: 'sqlite', path: join(folder, 'qianmen.db') } as const;
    const before = await openDatabase(location, { migrate: false });
    onTestFinished(() => before.close());
    await migrate(before, MIGRATIONS.slice(0, 4));
    // To the letter, and prepared once.
    const insert = before.sqlite!.prepare(
      'insert into attempt values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing',
    );
    const insertAsThen = (row: AttemptRow, labelId: number) =>
      insert.run(
        ...[row.settlementId, row.number, row.atMs, labelId, row.requestId, row.promptTokens],
        ...[row.cachedTokens, row.completionTokens, row.reasoningTokens, row.costNanoUsd],
        ...[row.wasteNanoUsd, row.durationMs],
      ).changes;
    const all = () => before.kysely.selectFrom('every_attempt').selectAll().orderBy('id').execute();
    await insertRows(before, [rowOf('b'), rowOf('a', 2)]);
    const labelId = (await before.kysely.selectFrom('attempt').select('label_id').execute())[0]!.label_id;
    expect(insertAsThen(rowOf('b'), labelId)).toBe(0);
    const rows = await all();
    expect(rows.map(({ id }) => id)).toEqual(['a.0', 'b.0']);

    const now = await openDatabase(location);
    onTestFinished(() => now.close());
    expect(await all()).toEqual(rows);
    expect([rowOf('b'), rowOf('c'), rowOf('c')].map((row) => insertAsThen(row, labelId))).toEqual([0, 1, 0]);
    expect(await insertRows(now, [rowOf('c'), rowOf('a', 2), rowOf('d', 2)])).toEqual([]);
    expect((await all()).map(({ id }) => id)).toEqual(['a.0', 'b.0', 'c.0', 'd.0']);
    expect((await spentTotals(now, NOON_MS)).key.get('key_2')).toMatchObject({ day: 2 * COST });
    expect((await inspectDatabase(location)).problems.join()).not.toContain('sums of the attempts');
    const plan = await sql<{ detail: string }>`
      explain query plan select * from every_attempt where at_ms >= 1 and at_ms < 2`.execute(now.kysely);
    expect(plan.rows.map(({ detail }) => detail)).toContain(
      'SEARCH attempt USING PRIMARY KEY (at_ms>? AND at_ms<?)',
    );
  });
});

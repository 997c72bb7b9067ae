import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../store/database.ts';
import { LedgerReader } from './ledger-reader.ts';

const ROWS = 200_000;
const NOW_MS = Date.UTC(2026, 5, 15);

describe('reading a large ledger', () => {
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-reader-'));
  const location = { kind: 'sqlite', path: join(folder, 'qianmen.db') } as const;
  let database: Database;
  let reader: LedgerReader;

  beforeAll(async () => {
    database = await openDatabase(location);
    await sql`
      insert into ledger
      with recursive n(i) as (select 0 union all select i + 1 from n where i < ${ROWS - 1})
      select 'settlement-' || i || '.0', ${NOW_MS} - i, 'org_1', 'proj_' || (i % 2), 'key_' || (i % 50), 'req', 'chat',
        'model', 'd', 'first', 'delivered', 1, 1, 0, 1, 0, 3, 0, 1, 1 from n`.execute(database.kysely);
    await sql`insert into spent values ('2026-06', 'org_1', 'proj_0', 'key_0', 'model', 7), ('2026-06-15', 'org_1', 'proj_0', 'key_0', 'model', 3),
      ('2026-06', 'org_1', 'proj_1', 'key_1', 'model', 5), ('2026-05', 'org_1', 'proj_1', 'key_1', 'model', 100)`.execute(
      database.kysely,
    );
    reader = new LedgerReader(location);
  });

  afterAll(async () => {
    await reader.close();
    await database.close();
    rmSync(folder, { recursive: true });
  });

  const query = { fromMs: 0, toMs: NOW_MS + 1, groupBy: ['project'], only: {}, maxGroups: 10 } as const;

  it('adds up, and lets the thread that asks go on meanwhile', async () => {
    let done = false;
    const asking = reader.usage(query).finally(() => {
      done = true;
    });
    let turns = 0;
    for (; !done; turns++) await turn();
    expect(turns).toBeGreaterThan(100);
    const sums = (await asking).map(({ by, requests, costNanoUsd }) => [by.project, requests, costNanoUsd]);
    expect(sums).toEqual(['proj_0', 'proj_1'].map((id) => [id, ROWS / 2, (ROWS / 2) * 3]));
    const spent = await reader.spentTotals(NOW_MS);
    expect(spent.organization.get('org_1')).toEqual({ day: 3, month: 12 });
  });

  it('refuses the next one where too many wait', async () => {
    const asked = Array.from({ length: 16 }, () => reader.usage(query));
    await expect(async () => reader.usage(query)).rejects.toMatchObject({ code: 'overloaded' });
    expect(await Promise.all(asked)).toHaveLength(16);
  });

  it('says what is wrong, and answers nobody after its end', async () => {
    const broken = { ...query, maxGroups: 'x' as unknown as number };
    await expect(reader.usage(broken)).rejects.toThrow();
    const other = new LedgerReader(location);
    const cut = other.usage(query);
    await other.close();
    await expect(cut).rejects.toThrow('ended');
    await expect(other.usage(query)).rejects.toThrow('closed');
  });
});

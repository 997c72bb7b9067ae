import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newApiKey } from '../../src/access/api-key.ts';
import { insertRows } from '../../src/ledger/insert.ts';
import { settledRows } from '../../src/ledger/row.ts';
import { ApiKeys } from '../../src/store/api-keys.ts';
import { findCaller } from '../../src/store/callers.ts';
import { copyToPostgres } from '../../src/store/copy.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { projectFor } from '../../src/store/named.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { Projects } from '../../src/store/projects.ts';
import { keyRevision } from '../../src/store/revision.ts';
import { callerOf, settled } from '../ledger/events.ts';
import { noPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';

describe.skipIf(noPostgres())('a copy from SQLite to PostgreSQL', () => {
  let server: PostgresServer;
  let folder: string;
  let path: string;
  let source: Database;
  let target: Database;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.remove());
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'qianmen-copy-'));
    path = join(folder, 'qianmen.db');
    source = await openDatabase({ kind: 'sqlite', path });
    target = await openDatabase({ kind: 'postgres', url: await server.createDatabase() });
    return async () => {
      await source.close();
      await target.close();
      rmSync(folder, { recursive: true });
    };
  });

  async function someKeys(count: number) {
    const { project } = await projectFor(source, { organization: 'acme', project: 'große Küche 前门' });
    await new Projects(source).update(project.id, {
      weight: 0.1,
      limits: { nanoUsdPerMonth: Number.MAX_SAFE_INTEGER },
    });
    const made = Array.from({ length: count }, newApiKey);
    const keys = new ApiKeys(source);
    for (const { id, hash } of made)
      await keys.create({ id, hash, name: id, projectId: project.id, models: ['auto'] });
    return made;
  }

  it('knows everybody whom the source knows', async () => {
    const made = await someKeys(30);
    await new ApiKeys(source).revoke(made[0]!.id);
    await new ApiKeys(source).rotate(made[1]!.id, newApiKey().hash, { overlapMs: 1e9 });
    const told: string[] = [];
    const tables = await copyToPostgres(source, target, (table, rows) => told.push(`${table} ${rows}`));
    expect(tables).toContainEqual({ name: 'api_key', rows: 30 });
    expect(tables).toContainEqual({ name: 'api_key_secret', rows: 31 });
    expect(told).toContain('api_key 30');
    expect(await new ApiKeys(target).list()).toEqual(await new ApiKeys(source).list());
    expect(await new Projects(target).list()).toEqual(await new Projects(source).list());
    expect(await new Organizations(target).list()).toEqual(await new Organizations(source).list());
    expect(await keyRevision(target)).toBe(await keyRevision(source));
    const now = Date.now();
    for (const { hash } of made)
      expect((await findCaller(target, hash, now)).key).toEqual((await findCaller(source, hash, now)).key);
  });

  it('of more rows than go into one statement is whole, to the last nano-dollar', async () => {
    await someKeys(1);
    const most = Number.MAX_SAFE_INTEGER;
    await sql`
      insert into ledger with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
      select i || '.1', 1795651558043 + i, 'org_1', 'proj_1', 'key_1', 'é', '/v1/embeddings', 'auto',
        case when i % 2 = 0 then 'eu/1' end, 'first', 'ok', 1, i, 0, i, 0, ${sql.lit(most)} - i, 0, i, i % 2 from n`.execute(
      source.kysely,
    );
    const attempts = [0, 1, 2].flatMap((key) => {
      const caller = callerOf(key);
      return settledRows({ ...settled(`s-${key}`, caller, 2), caller }, 1);
    });
    await insertRows(source, attempts);
    const tables = await copyToPostgres(source, target);
    expect(tables).toContainEqual({ name: 'ledger', rows: 5000 });
    // Labels of its own come behind those that it got.
    const caller = callerOf(9);
    const more = settledRows({ ...settled('more', caller, 0), caller }, 2);
    for (const database of [source, target])
      expect(await insertRows(database, [...attempts, ...more])).toEqual([]);
    const rows = ({ kysely }: Database) =>
      kysely.selectFrom('every_attempt').selectAll().orderBy('at_ms').orderBy('id').execute();
    const arrived = await rows(target);
    expect(arrived.at(-1)).toMatchObject({ cost_nano_usd: most - 5000, deployment: 'eu/1' });
    expect(arrived).toEqual(await rows(source));
  });

  it('goes into nothing that is not empty, and changes nothing there', async () => {
    await someKeys(1);
    await new Organizations(target).create({ name: 'there before' });
    await expect(copyToPostgres(source, target)).rejects.toThrow('the target is not empty');
    expect((await new Organizations(target).list()).map(({ name }) => name)).toEqual(['there before']);
    expect(await keyRevision(target)).toBe(1);
  });

  it('of what changes meanwhile is refused, and leaves the target empty', async () => {
    await someKeys(1);
    const other = new Sqlite(path);
    const copying = copyToPostgres(
      source,
      target,
      () => void other.exec('update key_revision set revision = 99'),
    );
    await expect(copying).rejects.toThrow('written to meanwhile');
    other.close();
    expect(await new Organizations(target).list()).toEqual([]);
    expect((await copyToPostgres(source, target)).length).toBeGreaterThan(0);
  });

  it.each([
    ['a number', 'update api_key set created_at_ms = created_at_ms + 1', 'sum of created_at_ms'],
    ['a text', `update api_key set name = 'x'`, 'length of name'],
    ['a row', 'delete from api_key_secret', 'number of rows'],
  ])('that loses %s on the way is noticed, and leaves the target empty', async (_, damage, what) => {
    await someKeys(3);
    await sql
      .raw(
        `create function damage() returns trigger as 'begin ${damage.replaceAll("'", "''")}; return null; end' language plpgsql;
         create trigger damage after insert on api_key_secret execute function damage()`,
      )
      .execute(target.kysely);
    await expect(copyToPostgres(source, target)).rejects.toThrow(what);
    expect(await new ApiKeys(target).list()).toEqual([]);
  });
});

import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { checkDatabase } from '../../src/doctor/database.ts';
import { ApiKeys } from '../../src/store/api-keys.ts';
import { type Database, type OpenOptions, openDatabase } from '../../src/store/database.ts';
import { newId } from '../../src/store/id.ts';
import { inspectDatabase } from '../../src/store/inspect.ts';
import { LateDatabase } from '../../src/store/late-database.ts';
import type { DatabaseLocation } from '../../src/store/location.ts';
import { projectFor } from '../../src/store/named.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { changingKeys, keyRevision } from '../../src/store/revision.ts';
import { inTransaction } from '../../src/store/transaction.ts';
import { noPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';
import { describeDatabases } from './databases.ts';
import { freezableProxy } from './freezable-proxy.ts';

const WRITE = fileURLToPath(new URL('write-process.ts', import.meta.url));

async function open(location: DatabaseLocation, options?: OpenOptions): Promise<Database> {
  const database = await openDatabase(location, options);
  onTestFinished(() => database.close());
  return database;
}

function someKey(projectId: string, i = 0) {
  return { id: newId('key'), hash: Buffer.alloc(32, `${i} ${Math.random()}`), name: 'test', projectId };
}

describeDatabases('a process that is killed while it writes', (newLocation) => {
  it('has lost nothing that it was told is stored', async () => {
    const location = await newLocation();
    const child = spawn(process.execPath, [WRITE, JSON.stringify(location)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const stored: string[] = [];
    for await (const id of createInterface({ input: child.stdout })) {
      stored.push(id);
      if (stored.length === 100) child.kill('SIGKILL');
    }
    const database = await open(location);
    const keys = await new ApiKeys(database).list();
    const known = new Set(keys.map(({ id }) => id));
    expect(stored.filter((id) => !known.has(id))).toEqual([]);
    expect((await inspectDatabase(location)).problems).toEqual([]);
    const secrets = await database.kysely.selectFrom('api_key_secret').select('key_id').execute();
    expect(secrets).toHaveLength(keys.length);
  });
});

describeDatabases('two transactions that each need what the other has', (newLocation) => {
  it('both happen', async () => {
    const location = await newLocation();
    const both = [await open(location), await open(location)];
    const organizations = new Organizations(both[0]!);
    const ids = [await organizations.create({ name: '0' }), await organizations.create({ name: '1' })].map(
      ({ id }) => id,
    );
    await Promise.all(
      both.map((database, i) =>
        inTransaction(database, async (transaction) => {
          for (const id of i === 0 ? ids : ids.toReversed()) {
            const set = { concurrency: i + 1 };
            await transaction.updateTable('organization').set(set).where('id', '=', id).execute();
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        }),
      ),
    );
    const [first, second] = await organizations.list();
    expect(first!.limits).toEqual(second!.limits);
  });
});

describe('a file of SQLite', () => {
  let folder: string;
  let location: DatabaseLocation & { kind: 'sqlite' };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qianmen-store-'));
    location = { kind: 'sqlite', path: join(folder, 'qianmen.db') };
    return () => rmSync(folder, { recursive: true });
  });

  it('can be read by nobody else', async () => {
    await (await openDatabase(location)).close();
    expect(execFileSync('stat', ['-c', '%a', location.path], { encoding: 'utf8' })).toBe('600\n');
  });

  it('that another process has locked is waited for, without stopping this one', async () => {
    const database = await open(location);
    const { project } = await projectFor(database, {});
    const before = await keyRevision(database);
    const other = new Sqlite(location.path);
    onTestFinished(() => void other.close());
    other.exec('begin immediate');
    const made = new ApiKeys(database).create(someKey(project.id));
    let longestMs = 0;
    for (let i = 0, last = performance.now(); i < 20; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
    }
    expect(await keyRevision(database)).toBe(before);
    other.exec('rollback');
    await made;
    expect(await keyRevision(database)).toBe(before + 1);
    expect(longestMs).toBeLessThan(1000);
  });

  it('that stays locked is told so, and nothing has changed', async () => {
    const database = await open(location, { timeoutMs: 200 });
    const { project } = await projectFor(database, {});
    const other = new Sqlite(location.path);
    onTestFinished(() => void other.close());
    other.exec('begin immediate');
    await expect(new ApiKeys(database).create(someKey(project.id))).rejects.toThrow('database is locked');
    other.exec('rollback');
    expect(await new ApiKeys(database).list()).toEqual([]);
    await new ApiKeys(database).create(someKey(project.id));
  });

  it('that is removed or replaced under whoever uses it is told of, left as it is, and used again once it is back', async () => {
    const late = new LateDatabase(location);
    onTestFinished(() => late.close());
    await late.start();
    await projectFor(late.get(), { organization: 'kept' });
    const gone = `the database ${location.path} cannot be used: somebody has removed, replaced or emptied its file while it was in use`;
    renameSync(location.path, `${location.path}-away`);
    expect(() => late.get()).toThrow(gone);
    const another = new LateDatabase(late.location);
    onTestFinished(() => another.close());
    await another.start();
    expect(() => another.get()).toThrow(gone);
    expect(existsSync(location.path)).toBe(false);
    writeFileSync(location.path, 'another');
    expect(() => late.get()).toThrow(gone);
    expect(readFileSync(location.path, 'utf8')).toBe('another');
    renameSync(`${location.path}-away`, location.path);
    await expect.poll(() => another.get(), { timeout: 5_000 }).toBeDefined();
    for (const { kysely } of [late.get(), another.get()])
      expect(await kysely.selectFrom('organization').select('name').execute()).toEqual([{ name: 'kept' }]);
  });

  it('that cannot be opened for a lock names what to do', async () => {
    const other = new Sqlite(location.path);
    onTestFinished(() => void other.close());
    other.exec('pragma locking_mode = exclusive; begin exclusive; create table t (a)');
    await expect(openDatabase(location, { timeoutMs: 200 })).rejects.toThrow(
      `the database ${location.path} cannot be used: database is locked. Another process holds its lock: find it with \`fuser\`, and end it.`,
    );
  });

  it('that is none is refused, named, and left as it is', async () => {
    writeFileSync(location.path, 'a letter, not a database\n'.repeat(1000));
    const before = readFileSync(location.path);
    await expect(openDatabase(location)).rejects.toThrow(
      /qianmen\.db cannot be used.*not a database.*qianmen database check/,
    );
    expect(readFileSync(location.path).equals(before)).toBe(true);
    expect((await inspectDatabase(location)).problems).toEqual([expect.stringContaining('not a database')]);
    const check = await checkDatabase({ database: 'sqlite', dataDir: folder });
    expect(check).toMatchObject({ status: 'failed', detail: expect.stringContaining('not a database') });
  });

  it('with broken pages does not pass the check', async () => {
    const database = await open(location);
    const { project } = await projectFor(database, {});
    for (let i = 0; i < 50; i += 1) await new ApiKeys(database).create(someKey(project.id, i));
    await database.close();
    expect(await inspectDatabase(location)).toMatchObject({ problems: [] });
    const file = openSync(location.path, 'r+');
    const page = 4096;
    writeSync(file, Buffer.alloc(2 * page, 0x5a), 0, 2 * page, 8 * page);
    const { problems } = await inspectDatabase(location);
    expect(problems.length).toBeGreaterThan(0);
    truncateSync(location.path, 5 * page + 100);
    expect((await inspectDatabase(location)).problems.length).toBeGreaterThan(0);
  });

  it('with rows that point to nothing does not pass the check', async () => {
    const database = await open(location);
    await projectFor(database, {});
    const other = new Sqlite(location.path);
    other.exec('pragma foreign_keys = off; delete from organization');
    other.close();
    expect((await inspectDatabase(location)).problems).toEqual([
      'a row of project points to a organization that is not there',
    ]);
  });

  it('is neither made nor changed by a check', async () => {
    expect((await inspectDatabase(location)).summary).toContain('not there yet');
    expect(existsSync(location.path)).toBe(false);
  });

  it.skipIf(process.getuid?.() === 0)('that may not be written names the right that is missing', async () => {
    chmodSync(folder, 0o500);
    onTestFinished(() => chmodSync(folder, 0o700));
    await expect(openDatabase(location)).rejects.toThrow('Give this user the right to write there');
  });

  it('on a full disk refuses changes, keeps what it has, and goes on once there is room', async () => {
    const database = await open(location);
    const { project } = await projectFor(database, {});
    const keys = new ApiKeys(database);
    const kept = await keys.create(someKey(project.id));
    await fillUp(database);
    const before = await keys.list();
    await expect(
      keys.create({ ...someKey(project.id), models: Array(1000).fill('m'.repeat(100)) }),
    ).rejects.toMatchObject({ code: 'SQLITE_FULL' });
    expect(await keys.list()).toEqual(before);
    expect(await keys.get(kept.id)).toEqual(kept);
    await sql`pragma max_page_count = 1000000`.execute(database.kysely);
    await keys.create({ ...someKey(project.id), models: Array(1000).fill('m'.repeat(100)) });
    expect((await inspectDatabase(location)).problems).toEqual([]);
  });

  const fillUp = ({ kysely }: Database) => sql`pragma max_page_count = 1`.execute(kysely);
});

const system = (command: string, args: readonly string[]) => execFileSync(command, args);
const cannotMount = await promisify(execFile)('unshare', ['-m', 'true']).then(
  () => undefined,
  () => 'needs root',
);
describe.skipIf(cannotMount)('a file of SQLite on a disk of its own that is full', () => {
  it('loses nothing that was stored', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'qianmen-full-'));
    system('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
    onTestFinished(() => {
      system('umount', [folder]);
      rmSync(folder, { recursive: true });
    });
    const location = { kind: 'sqlite', path: join(folder, 'qianmen.db') } as const;
    const database = await openDatabase(location);
    const { project } = await projectFor(database, {});
    const keys = new ApiKeys(database);
    const stored: string[] = [];
    let problem: unknown;
    while (problem === undefined)
      await keys.create({ ...someKey(project.id, stored.length), models: ['m'.repeat(200)] }).then(
        ({ id }) => stored.push(id),
        (error: unknown) => {
          problem = error;
        },
      );
    expect(problem).toMatchObject({ code: expect.stringMatching(/^SQLITE_(FULL|IOERR)/) });
    expect((await keys.list()).map(({ id }) => id).sort()).toEqual(stored.sort());
    system('mount', ['-o', 'remount,size=4m', folder]);
    const { id } = await keys.create(someKey(project.id));
    expect(await keys.get(id)).toBeDefined();
    await database.close();
    expect((await inspectDatabase(location)).problems).toEqual([]);
  });
});

describe.skipIf(noPostgres())('a server of PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.remove());

  it('that is down names itself without its password, and what to look at', async () => {
    const url = new URL(await server.createDatabase());
    url.password = 'secret-password';
    url.port = '1';
    const failure = await openDatabase({ kind: 'postgres', url: url.href }).catch((error: Error) => error);
    expect((failure as Error).message).toBe(
      `the database PostgreSQL at 127.0.0.1:1${url.pathname} cannot be used: connect ECONNREFUSED 127.0.0.1:1. ` +
        'Is the server running, and is its URL right?',
    );
  });

  it('that has no such database says how to make it', async () => {
    const url = `${await server.createDatabase()}missing`;
    await expect(openDatabase({ kind: 'postgres', url })).rejects.toThrow(
      'does not exist. Make it with `createdb`.',
    );
  });

  it('that goes down is an error for whoever asks meanwhile, and is used again once it is back', async () => {
    const database = await open({ kind: 'postgres', url: await server.createDatabase() });
    const { project } = await projectFor(database, {});
    const keys = new ApiKeys(database);
    const midway = changingKeys(database, async () => {
      await server.stop();
      await new Promise((resolve) => setTimeout(resolve, 50));
    });
    await expect(midway).rejects.toThrow();
    await expect(keyRevision(database)).rejects.toThrow();
    await expect(keys.create(someKey(project.id))).rejects.toThrow();
    await server.start();
    const { id } = await keys.create(someKey(project.id));
    expect(await keys.get(id)).toBeDefined();
  });

  it('that does not answer is given up after the time set, and no change is left half done', async () => {
    const url = new URL(await server.createDatabase());
    const proxy = await freezableProxy(Number(url.port));
    onTestFinished(() => proxy.close());
    url.port = `${proxy.port}`;
    const database = await open({ kind: 'postgres', url: url.href }, { timeoutMs: 1_500 });
    const { project } = await projectFor(database, {});
    const keys = new ApiKeys(database);
    const before = await keyRevision(database);
    const frozen = Promise.withResolvers<void>();
    const halfDone = changingKeys(database, async (transaction) => {
      proxy.freeze();
      frozen.resolve();
      await transaction.deleteFrom('api_key').execute();
    });
    halfDone.catch(() => {});
    await frozen.promise;
    const others = Array.from({ length: 5 }, () => keys.create(someKey(project.id)));
    for (const { status, reason } of (await Promise.allSettled([
      halfDone,
      ...others,
    ])) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(String(reason)).toMatch(/timeout/);
    }
    proxy.thaw();
    const made = await Promise.all(Array.from({ length: 20 }, (_, i) => keys.create(someKey(project.id, i))));
    expect((await keys.list()).map(({ id }) => id).sort()).toEqual(made.map(({ id }) => id).sort());
    expect(await keyRevision(database)).toBe(before + 20);
  });
});

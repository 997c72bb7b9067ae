import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { backUp } from '../../src/store/backup.ts';
import { openDatabase } from '../../src/store/database.ts';
import { inspectDatabase } from '../../src/store/inspect.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { restore } from '../../src/store/restore.ts';

const RESTORE = fileURLToPath(new URL('restore-process.ts', import.meta.url));
const NOW_MS = Date.UTC(2026, 0, 31, 12, 30, 5);

describe('a backup that is restored', () => {
  let folder: string;
  let path: string;
  let file: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'qianmen-restore-'));
    path = join(folder, 'qianmen.db');
    file = join(folder, 'backup.db');
    await add(path, 'before');
    await backUp(path, file);
    await add(path, 'after');
    return () => rmSync(folder, { recursive: true });
  });

  async function add(at: string, name: string): Promise<void> {
    const database = await openDatabase({ kind: 'sqlite', path: at });
    await new Organizations(database).create({ name });
    await database.close();
  }

  async function namesIn(at: string): Promise<readonly string[]> {
    const database = await openDatabase({ kind: 'sqlite', path: at });
    const found = await new Organizations(database).list();
    await database.close();
    return found.map(({ name }) => name);
  }

  it('takes the place of the database, which is kept aside, whole', async () => {
    const aside = await restore(path, file, undefined, NOW_MS);
    expect(aside).toBe(`${path}.before-restore-20260131T123005`);
    expect(readdirSync(folder).sort()).toEqual([
      'backup.db',
      'qianmen.db',
      'qianmen.db.before-restore-20260131T123005',
    ]);
    expect(await namesIn(path)).toEqual(['before']);
    expect(await namesIn(aside!)).toEqual(['before', 'after']);
    expect((await inspectDatabase({ kind: 'sqlite', path })).problems).toEqual([]);
    expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
    // Twice in a second.
    expect(await restore(path, aside!, undefined, NOW_MS)).toBe(`${aside}-2`);
    expect(await namesIn(path)).toEqual(['before', 'after']);
  });

  it('keeps what a killed process had only written to its log', async () => {
    // As it is while somebody has it open, and after a kill.
    const database = await openDatabase({ kind: 'sqlite', path });
    await new Organizations(database).create({ name: 'in the log' });
    for (const end of ['', '-wal']) copyFileSync(path + end, join(folder, `killed.db${end}`));
    await database.close();
    const aside = await restore(join(folder, 'killed.db'), file);
    expect(await namesIn(aside!)).toEqual(['before', 'after', 'in the log']);
  });

  it.each([1, 2, 3, 'any time', 'any time'])(
    'leaves the old database in its place or the new one when it is killed: %s',
    async (at) => {
      const whole = [await namesIn(path), await namesIn(file)];
      const child = spawn(process.execPath, [RESTORE, path, file, `${at}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      if (at === 'any time') setTimeout(() => child.kill('SIGKILL'), 50 * Math.random());
      const [, signal] = await ended;
      if (at !== 'any time') expect(signal).toBe('SIGKILL');
      expect(existsSync(path)).toBe(true);
      expect((await inspectDatabase({ kind: 'sqlite', path })).problems).toEqual([]);
      expect(whole).toContainEqual(await namesIn(path));
      await restore(path, file);
      expect(readdirSync(folder).filter((name) => name.includes('restoring'))).toEqual([]);
      expect(await namesIn(path)).toEqual(['before']);
    },
  );

  it('is made where there is none, and in the place of a damaged one', async () => {
    const fresh = join(folder, 'fresh.db');
    expect(await restore(fresh, file)).toBeUndefined();
    expect(await namesIn(fresh)).toEqual(['before']);
    writeFileSync(path, 'no database at all'.repeat(500));
    const aside = await restore(path, file);
    expect(await namesIn(path)).toEqual(['before']);
    expect(readFileSync(aside!, 'utf8')).toContain('no database at all');
  });

  it('is brought up to date first', async () => {
    const old = new Sqlite(file);
    old.exec(`drop view every_attempt; drop index api_key_ended; drop index project_ended; drop index organization_ended; drop table attempt_day; drop table attempt; drop index api_key_age; drop index api_key_project_age; create index api_key_project on api_key (project_id); drop table attempt_label; drop table spent; drop index ledger_late; alter table ledger drop column counted; alter table budget_alarm drop column told_at_ms; alter table budget_alarm drop column held_until_ms;
      alter table budget_alarm drop column budget_nano_usd; alter table budget_alarm drop column spent_nano_usd;
      delete from schema_migration where number > 2`);
    old.close();
    await restore(path, file);
    expect((await inspectDatabase({ kind: 'sqlite', path })).problems).toEqual([]);
    expect(await namesIn(path)).toEqual(['before']);
  });

  it.each([
    [
      'while somebody uses the database',
      'somebody uses the database',
      async () => {
        const database = await openDatabase({ kind: 'sqlite', path });
        onTestFinished(() => database.close());
        await new Organizations(database).list();
      },
    ],
    [
      'that is damaged',
      'damaged|malformed',
      async () => {
        const bytes = readFileSync(file);
        bytes.fill(0x5a, 3 * 4096, 5 * 4096);
        writeFileSync(file, bytes);
      },
    ],
    [
      'of something else',
      'no backup of qianmen',
      async () => {
        rmSync(file);
        new Sqlite(file).exec('create table letters (text)').close();
      },
    ],
    ['that is no database', 'not a database', async () => writeFileSync(file, 'a letter'.repeat(1000))],
    ['that is not there', 'not there', async () => rmSync(file)],
    [
      'of a newer version',
      'newer qianmen',
      async () => {
        new Sqlite(file)
          .exec(`insert into schema_migration values (${MIGRATIONS.length + 1}, 'to come', 0)`)
          .close();
      },
    ],
  ])('%s is refused, and nothing changes', async (_, why, given) => {
    await given();
    await expect(restore(path, file)).rejects.toThrow(new RegExp(`cannot take the place of.*(${why})`, 's'));
    expect(readdirSync(folder).filter((name) => /restor/.test(name))).toEqual([]);
    expect(await namesIn(path)).toEqual(['before', 'after']);
  });
});

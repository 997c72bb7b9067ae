import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { ApiKeys } from '../../src/store/api-keys.ts';
import { backUp } from '../../src/store/backup.ts';
import { openDatabase } from '../../src/store/database.ts';
import { inspectDatabase } from '../../src/store/inspect.ts';

const WRITE = fileURLToPath(new URL('write-process.ts', import.meta.url));

describe('a backup', () => {
  let folder: string;
  let location: { readonly kind: 'sqlite'; readonly path: string };
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qianmen-backup-'));
    location = { kind: 'sqlite', path: join(folder, 'qianmen.db') };
    file = join(folder, 'backup.db');
    return () => rmSync(folder, { recursive: true });
  });

  it('ends while another process writes without pause, is whole, and holds all that was stored when it began', async () => {
    const { kysely, close } = await openDatabase(location);
    // So large that it is copied in several steps, between which the other one writes.
    await sql`create table large as select randomblob(80000000) as bytes`.execute(kysely);
    await close();
    const child = spawn(process.execPath, [WRITE, JSON.stringify(location)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const stored: string[] = [];
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (id) => stored.push(id));
    while (stored.length < 20) await new Promise((resolve) => lines.once('line', resolve));
    const before = [...stored];
    const shares: number[] = [];
    await backUp(location.path, file, (share) => shares.push(share));
    // It never begins anew.
    expect(shares).toEqual([...new Set(shares)].sort());
    expect(shares.length).toBeGreaterThan(3);
    await new Promise((resolve) => lines.once('line', resolve));
    child.kill('SIGKILL');

    expect((await inspectDatabase({ kind: 'sqlite', path: file })).problems).toEqual([]);
    const copy = await openDatabase({ kind: 'sqlite', path: file });
    onTestFinished(() => copy.close());
    const ids = new Set((await new ApiKeys(copy).list()).map(({ id }) => id));
    expect(before.filter((id) => !ids.has(id))).toEqual([]);
    expect(stored.some((id) => !ids.has(id))).toBe(true);
  });

  it('takes nobody else’s place', async () => {
    await (await openDatabase(location)).close();
    writeFileSync(file, 'precious');
    await expect(backUp(location.path, file)).rejects.toThrow('exists already');
  });

  it('of what is not there is refused, and leaves nothing', async () => {
    await expect(backUp(location.path, file)).rejects.toThrow(`there is no database ${location.path}`);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    [
      'in a folder that is not there',
      'missing/backup.db',
      'ENOENT: no such .*[.] Make the folder first, or name another place[.]$',
    ],
    ['below a file', 'qianmen.db/backup.db', 'ENOTDIR: not a .*[.] There is a file on the way to it'],
  ])('%s is told as what it is: nothing is wrong with the database', async (_, name, why) => {
    await (await openDatabase(location)).close();
    const refused = backUp(location.path, join(folder, name));
    await expect(refused).rejects.toThrow(new RegExp(`^${folder}/${name} cannot be written: ${why}`));
    expect(readdirSync(folder)).toEqual(['qianmen.db']);
  });

  it('of a damaged file is no backup', async () => {
    writeFileSync(location.path, Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(8192, 1)]));
    await expect(backUp(location.path, file)).rejects.toThrow(`${location.path} cannot be used`);
    expect(existsSync(file)).toBe(false);
  });
});

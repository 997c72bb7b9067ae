import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { copyPages } from './backup.ts';
import { openDatabase } from './database.ts';
import { damageOf } from './inspect.ts';
import { because, explain } from './problem.ts';

/** What SQLite keeps beside a database. */
const BESIDE = ['-wal', '-shm'];

/**
 * Puts a copy of a backup in the place of a database of SQLite. The copy is whole, brought up to this code, and has passed the check before
 * anything is replaced. What was there stays, under another name.
 *
 * @param onProgress Of the copy so far: 0 to 1.
 * @returns Where the old one is; undefined: there was none.
 * @throws Error that says what is wrong, and nothing has changed: the backup is none, or somebody uses the database
 */
export async function restore(
  path: string,
  file: string,
  onProgress: (share: number) => void = () => {},
  nowMs: number = Date.now(),
): Promise<string | undefined> {
  const partial = `${path}.restoring`;
  let alone: Sqlite.Database | undefined;
  try {
    refuseOthers(file);
    await copyPages(file, partial, onProgress);
    const { close } = await openDatabase({ kind: 'sqlite', path: partial });
    await close();
    const damage = damageOf(partial);
    if (damage.length > 0) throw new Error(`it is damaged: ${damage.join('; ')}`);
    alone = lockedAlone(path);
    const aside = existsSync(path) ? asideOf(path, nowMs) : undefined;
    if (aside !== undefined) keepAside(path, aside);
    renameSync(partial, path);
    syncFolder(dirname(path));
    return aside;
  } catch (error) {
    throw because(`${file} cannot take the place of ${path}`, error);
  } finally {
    alone?.close();
    for (const end of ['', ...BESIDE]) rmSync(partial + end, { force: true });
  }
}

/** @throws Error where it is no database of ours */
function refuseOthers(file: string): void {
  if (!existsSync(file)) throw new Error('it is not there');
  const sqlite = new Sqlite(file, { fileMustExist: true });
  try {
    if (sqlite.prepare(`select 1 from sqlite_schema where name = 'schema_migration'`).get() === undefined)
      throw new Error('it is no backup of qianmen');
  } catch (error) {
    throw String((error as { readonly code?: unknown }).code).startsWith('SQLITE')
      ? explain(error, { kind: 'sqlite', path: file })
      : error;
  } finally {
    sqlite.close();
  }
}

/**
 * Nobody else uses it, nor will until it is closed, and all that was written is in the one file.
 *
 * @returns Undefined: there is nothing that anybody could use.
 * @throws Error where somebody does
 */
function lockedAlone(path: string): Sqlite.Database | undefined {
  if (!existsSync(path)) return undefined;
  const sqlite = new Sqlite(path, { timeout: 0 });
  try {
    sqlite.pragma('journal_mode = delete');
    sqlite.exec('begin exclusive');
    return sqlite;
  } catch (error) {
    sqlite.close();
    const code = String((error as { readonly code?: unknown }).code);
    if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) return undefined;
    if (code.startsWith('SQLITE_BUSY'))
      throw new Error('somebody uses the database: stop the gateway, and whatever else has it open', {
        cause: error,
      });
    throw error;
  }
}

/** A gateway that finds no database makes an empty one, without keys: so the old one stays in its place until the new one takes that. */
function keepAside(path: string, aside: string): void {
  try {
    linkSync(path, aside);
  } catch {
    // Not every file system has second names.
    renameSync(path, aside);
  }
  for (const end of BESIDE) if (existsSync(path + end)) renameSync(path + end, aside + end);
}

/** In the same folder, and free. */
function asideOf(path: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  for (let count = 1; ; count++) {
    const aside = `${path}.before-restore-${time}${count === 1 ? '' : `-${count}`}`;
    if (!existsSync(aside)) return aside;
  }
}

/** New names survive a power failure. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

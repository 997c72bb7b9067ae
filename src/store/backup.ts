import { closeSync, existsSync, openSync, renameSync, rmSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { damageOf } from './inspect.ts';
import { because, explain } from './problem.ts';

const PAGES_PER_STEP = 1024;

/**
 * Copies a SQLite database, as it is at this moment, to a new file, while others go on reading and writing it. The file appears once it is
 * whole, and has passed the check of its integrity.
 *
 * @param onProgress Of the copy so far: 0 to 1.
 * @throws Error that says what is wrong
 */
export async function backUp(
  path: string,
  file: string,
  onProgress: (share: number) => void = () => {},
): Promise<void> {
  if (!existsSync(path)) throw new Error(`there is no database ${path}`);
  if (existsSync(file)) throw new Error(`${file} exists already; a backup goes to a new file`);
  const partial = `${file}.partial`;
  try {
    await copyPages(path, partial, onProgress);
    const damage = damageOf(partial);
    if (damage.length > 0) throw new Error(`the copy is damaged: ${damage.join('; ')}`);
    renameSync(partial, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Only the copy is opened by ourselves, and only it grows.
    if (code === 'SQLITE_FULL' || !code?.startsWith('SQLITE'))
      throw because(`${file} cannot be written`, error);
    throw explain(error, { kind: 'sqlite', path });
  } finally {
    if (existsSync(partial)) rmSync(partial);
  }
}

/** Copies a database to a file that only its owner may read, in place of the one that may be there. @throws Error of SQLite or of the system */
export async function copyPages(
  path: string,
  to: string,
  onProgress: (share: number) => void,
): Promise<void> {
  rmSync(to, { force: true });
  closeSync(openSync(to, 'wx', 0o600));
  const source = new Sqlite(path, { fileMustExist: true });
  try {
    // Holds on to this moment. Otherwise the copy would begin again with every write by others, and never end.
    source.exec('begin');
    source.prepare('select count(*) from sqlite_schema').get();
    await source.backup(to, {
      progress({ totalPages, remainingPages }) {
        onProgress(totalPages === 0 ? 1 : 1 - remainingPages / totalPages);
        return PAGES_PER_STEP;
      },
    });
  } finally {
    source.close();
  }
}

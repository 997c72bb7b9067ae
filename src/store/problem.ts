import { type DatabaseLocation, locationText } from './location.ts';

/** What was thrown while a database was opened, in words that say where it is and what to do. */
export function explain(error: unknown, location: DatabaseLocation): Error {
  return because(`the database ${locationText(location)} cannot be used`, error);
}

/** What could not be done, why, and what to do about it. */
export function because(what: string, error: unknown): Error {
  const { message, code } = error as NodeJS.ErrnoException;
  return new Error(`${what}: ${message || code}${fixOf(error as NodeJS.ErrnoException)}`, { cause: error });
}

function fixOf({ code = '', syscall }: NodeJS.ErrnoException): string {
  if (code.startsWith('SQLITE_BUSY') || code === 'SQLITE_LOCKED')
    return '. Another process holds its lock: find it with `fuser`, and end it.';
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB')
    return '. Look at it with `qianmen database check`; `qianmen database restore` puts a backup in its place.';
  if (/^(SQLITE_FULL|ENOSPC|EDQUOT)$/.test(code)) return '. Free some space there.';
  if (/^SQLITE_(READONLY|CANTOPEN)|^(EACCES|EPERM)$/.test(code))
    return '. This user needs the right to write there.';
  if (code.startsWith('SQLITE_IOERR')) return '. Is there free space, and is the disk in order?';
  if (code === 'EROFS') return '. The file system is read-only: name a place on another.';
  if (code === 'ENOTDIR') return '. There is a file on the way to it: name another place.';
  if (code === 'ENOENT' && syscall !== 'connect') return '. Make the folder first.';
  if (code === '28P01' || code === '28000') return '. Correct user and password in its URL.';
  if (code === '3D000') return '. Make it with `createdb`.';
  if (/^(ECONN|ENOENT|ENOTFOUND|EAI_|ETIMEDOUT|57P)/.test(code))
    return '. Is the server running, and is its URL right?';
  return '';
}

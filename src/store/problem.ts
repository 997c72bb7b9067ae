import { fileTrouble } from '../core/file-trouble.ts';
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
  // The socket of a server is no file that one could make.
  const trouble = syscall === 'connect' ? undefined : fileTrouble(asFileCode(code));
  if (trouble)
    return `. ${trouble.fix === undefined ? `${capitalized(trouble.reason)}:` : `${trouble.fix}, or`} name another place.`;
  if (code.startsWith('SQLITE_BUSY') || code === 'SQLITE_LOCKED')
    return '. Another process holds its lock: find it with `fuser`, and end it.';
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB')
    return '. Look at it with `qianmen database check`; `qianmen database restore` puts a backup in its place.';
  if (code.startsWith('SQLITE_IOERR')) return '. Is there free space, and is the disk in order?';
  if (code === '28P01' || code === '28000') return '. Correct user and password in its URL.';
  if (code === '3D000') return '. Make it with `createdb`.';
  if (/^(ECONN|ENOENT|ENOTFOUND|EAI_|ETIMEDOUT|57P)/.test(code))
    return '. Is the server running, and is its URL right?';
  return '';
}

/** SQLite has words of its own for what the system said. */
function asFileCode(code: string): string {
  if (code === 'SQLITE_FULL') return 'ENOSPC';
  return /^SQLITE_(READONLY|CANTOPEN)/.test(code) ? 'EACCES' : code;
}

function capitalized(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}`;
}

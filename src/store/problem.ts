import { type DatabaseLocation, locationText } from './location.ts';

/** What was thrown while a database was opened, in words that say where it is and what to do. */
export function explain(error: unknown, location: DatabaseLocation): Error {
  const { message, code } = error as Error & { readonly code?: unknown };
  const fix = fixOf(String(code));
  return new Error(`the database ${locationText(location)} cannot be used: ${message || code}${fix}`, {
    cause: error,
  });
}

function fixOf(code: string): string {
  if (code.startsWith('SQLITE_BUSY') || code === 'SQLITE_LOCKED')
    return '. Another process holds its lock: find it with `fuser`, and end it.';
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB')
    return '. Look at it with `qianmen database check`; `qianmen database restore` puts a backup in its place.';
  if (code === 'SQLITE_FULL' || code === 'ENOSPC') return '. Free some space there.';
  if (/^SQLITE_(READONLY|CANTOPEN|IOERR)/.test(code) || code === 'EACCES')
    return '. This user needs the right to write there.';
  if (code === '28P01' || code === '28000')
    return '. Correct user and password in `database` of the configuration.';
  if (code === '3D000') return '. Make it with `createdb`.';
  if (/^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|57P)/.test(code))
    return '. Is the server running, and is `database` of the configuration right?';
  return '';
}

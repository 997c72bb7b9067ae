import { statSync } from 'node:fs';
import { join } from 'node:path';
import { inodeOf } from '../core/inode.ts';

/** Where a database lies. `inode`: it is that very file, and no other that comes to have its name. */
export type DatabaseLocation =
  | { readonly kind: 'sqlite'; readonly path: string; readonly inode?: number | undefined }
  | { readonly kind: 'postgres'; readonly url: string };

/** @param database `sqlite`, or a URL that begins with postgres:// */
export function databaseLocation({
  database,
  dataDir,
}: {
  readonly database: string;
  readonly dataDir: string;
}): DatabaseLocation {
  return database === 'sqlite'
    ? { kind: 'sqlite', path: join(dataDir, 'qianmen.db') }
    : { kind: 'postgres', url: database };
}

/** The same, and if it is a file, the one that has the name now. */
export function pinned(location: DatabaseLocation): DatabaseLocation {
  return location.kind === 'sqlite' ? { ...location, inode: inodeOf(location.path) } : location;
}

/** Whether the file that is meant has its name, and has not been emptied: SQLite takes an empty file for a new database. */
export function isInPlace(location: DatabaseLocation): boolean {
  if (location.kind !== 'sqlite' || location.inode === undefined) return true;
  const file = statSync(location.path, { throwIfNoEntry: false });
  return file?.ino === location.inode && file.size > 0;
}

/** For messages: never holds a password. */
export function locationText(location: DatabaseLocation): string {
  if (location.kind === 'sqlite') return location.path;
  try {
    const { hostname, port, pathname } = new URL(location.url);
    return `PostgreSQL at ${hostname}:${port || '5432'}${pathname}`;
  } catch {
    return 'PostgreSQL';
  }
}

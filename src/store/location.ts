import { join } from 'node:path';

/** Where a database lies. */
export type DatabaseLocation =
  | { readonly kind: 'sqlite'; readonly path: string }
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

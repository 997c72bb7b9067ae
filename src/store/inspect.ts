import { existsSync, statSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { openDatabase } from './database.ts';
import { type DatabaseLocation, locationText } from './location.ts';
import { explain } from './problem.ts';
import { type Difference, sumDifferences } from './sum-check.ts';

/** All rows of the ledger are added up. */
const SUM_TIMEOUT_MS = 600_000;

/** What a look at a database has found. */
export interface Inspection {
  /** Empty: nothing is wrong. */
  readonly problems: readonly string[];
  /** What was looked at, in words. */
  readonly summary: string;
}

/** Looks at the whole database without changing it, also while it is in use. Takes as long as reading it does. Never throws. */
export async function inspectDatabase(location: DatabaseLocation): Promise<Inspection> {
  try {
    return location.kind === 'sqlite' ? inspectSqlite(location.path) : await inspectPostgres(location);
  } catch (error) {
    return { problems: [explain(error, location).message], summary: locationText(location) };
  }
}

function inspectSqlite(path: string): Inspection {
  if (!existsSync(path))
    return { problems: [], summary: `${path} is not there yet; the gateway makes it when it starts` };
  const problems = damageOf(path);
  return { problems, summary: `${path}, ${(statSync(path).size / 1e6).toFixed(1)} MB` };
}

/** The first of what is wrong in a file of SQLite: pages that are broken, rows that point to nothing, sums that are none. */
export function damageOf(path: string): readonly string[] {
  const sqlite = new Sqlite(path, { fileMustExist: true });
  try {
    const broken = sqlite.pragma('integrity_check(10)') as { readonly integrity_check: string }[];
    const dangling = sqlite.pragma('foreign_key_check') as {
      readonly table: string;
      readonly parent: string;
    }[];
    if (broken.length > 1 || broken[0]?.integrity_check !== 'ok')
      return broken.map(({ integrity_check }) => integrity_check);
    return [
      ...dangling
        .slice(0, 10)
        .map(({ table, parent }) => `a row of ${table} points to a ${parent} that is not there`),
      ...differencesIn(sqlite),
    ];
  } finally {
    sqlite.close();
  }
}

function differencesIn(sqlite: Sqlite.Database): readonly string[] {
  const tables = sqlite
    .prepare<[], string>(`select name from sqlite_schema where type = 'table'`)
    .pluck()
    .all();
  return sumDifferences('sqlite', tables).flatMap((select) =>
    sqlite
      .prepare<[], Difference>(select)
      .all()
      .map(({ problem }) => problem),
  );
}

/** Its pages are the server's affair. */
async function inspectPostgres(location: DatabaseLocation): Promise<Inspection> {
  const database = await openDatabase(location, { migrate: false, timeoutMs: SUM_TIMEOUT_MS });
  try {
    const tables = await database.kysely.introspection.getTables();
    const names = tables.map(({ name }) => name);
    const problems: string[] = [];
    for (const select of sumDifferences('postgres', names)) {
      const { rows } = await sql.raw<Difference>(select).execute(database.kysely);
      problems.push(...rows.map(({ problem }) => problem));
    }
    return { problems, summary: `${locationText(location)}, ${tables.length} tables` };
  } finally {
    await database.close();
  }
}

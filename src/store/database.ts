import type Sqlite from 'better-sqlite3';
import { type Dialect, Kysely, PostgresDialect, SqliteDialect } from 'kysely';
import type { DatabaseLocation } from './location.ts';
import { isMigrated, migrate } from './migrate.ts';
import { explain } from './problem.ts';
import type { Schema } from './schema.ts';
import { openSqlite } from './sqlite.ts';

/** An open database. What it holds is the same in SQLite and in PostgreSQL, and so are the queries. */
export interface Database {
  readonly kind: DatabaseLocation['kind'];
  readonly kysely: Kysely<Schema>;
  /**
   * Where the database is a file, what `kysely` speaks to: for those that write so much that building queries would
   * cost more than running them.
   */
  readonly sqlite: Sqlite.Database | undefined;
  /** True: `kysely` is in the transaction of `changingTogether`. */
  readonly isChanging?: boolean;
  /** What connecting, one statement, or the wait for another process' lock may take. */
  readonly timeoutMs: number;
  /** Calls after the first wait for it. */
  close(): Promise<void>;
}

export interface OpenOptions {
  /** False: the tables stay as they are, whichever version made them. */
  readonly migrate?: boolean;
  readonly timeoutMs?: number;
}

/**
 * Opens the database and brings its tables up to this code. Any number of processes may do so at once.
 *
 * @throws Error that says where the database is, what is wrong and what to do: it cannot be reached, is locked, damaged or newer
 * than the code.
 */
export async function openDatabase(
  location: DatabaseLocation,
  { migrate: wanted = true, timeoutMs = 10_000 }: OpenOptions = {},
): Promise<Database> {
  try {
    const database = await connect(location, timeoutMs);
    try {
      if (wanted && !(await isMigrated(database))) await migratePatiently(location);
    } catch (error) {
      await database.close();
      throw error;
    }
    return database;
  } catch (error) {
    throw explain(error, location);
  }
}

/** A large table takes its time, and so does the wait for another process that is at it. */
const MIGRATION_TIMEOUT_MS = 3_600_000;

async function migratePatiently(location: DatabaseLocation): Promise<void> {
  const database = await connect(location, MIGRATION_TIMEOUT_MS);
  try {
    await migrate(database);
  } finally {
    await database.close();
  }
}

async function connect(location: DatabaseLocation, timeoutMs: number): Promise<Database> {
  if (location.kind === 'postgres') {
    // Most do without, and its driver need not be in their memory.
    const { connectPostgres } = await import('./postgres.ts');
    const pool = connectPostgres(location.url, timeoutMs);
    return opened('postgres', new PostgresDialect({ pool }), undefined, timeoutMs);
  }
  const sqlite = await openSqlite(location.path, timeoutMs);
  return opened('sqlite', new SqliteDialect({ database: sqlite }), sqlite, timeoutMs);
}

function opened(
  kind: Database['kind'],
  dialect: Dialect,
  sqlite: Sqlite.Database | undefined,
  timeoutMs: number,
): Database {
  const kysely = new Kysely<Schema>({ dialect });
  let closed: Promise<void> | undefined;
  return {
    kind,
    kysely,
    sqlite,
    timeoutMs,
    close() {
      closed ??= kysely.destroy();
      return closed;
    },
  };
}

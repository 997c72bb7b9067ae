import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { makeFolder } from '../core/make-folder.ts';
import { retryWhileContended } from './contention.ts';

/**
 * A statement that meets a lock stops this whole process for this long at most; whoever can wait longer tries again
 * (`retryWhileContended`). With a write-ahead log readers never wait.
 */
const LOCK_WAIT_MS = 50;

/** Of a new file: with larger pages than SQLite's own the rows of a ledger take a tenth less of a core. */
const PAGE_BYTES = 16_384;

/** Opens a database file, which only its owner may read, and makes it and its folder where there is none. */
export async function openSqlite(path: string, patienceMs: number): Promise<Sqlite.Database> {
  makeFolder(dirname(path));
  closeSync(openSync(path, 'a', 0o600));
  const sqlite = new Sqlite(path, { timeout: LOCK_WAIT_MS });
  try {
    sqlite.pragma(`page_size = ${PAGE_BYTES}`);
    // Two processes that open a new file at once meet here.
    await retryWhileContended(() => sqlite.pragma('journal_mode = wal'), patienceMs);
    // What was committed survives a power failure: the ledger drops its journal on the strength of it, and a revoked key stays revoked.
    sqlite.pragma('synchronous = full');
    sqlite.pragma('foreign_keys = on');
    return sqlite;
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

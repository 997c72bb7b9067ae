import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';

/**
 * A journal belongs to whoever holds the lock on `NAME.lock` beside it. The system takes the lock from a process that ends, however it ends,
 * on this machine or in another container, and nobody has to guess from process numbers who is alive. SQLite knows how to lock a file everywhere.
 */
export interface Claim {
  /** Of the journal. */
  readonly name: string;
  /** @param gone Nothing of it is left: the lock's file goes, too. */
  release(gone: boolean): void;
}

/** A new journal in a folder, which is made where there is none. */
export function claimNew(dir: string): Claim {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const claim = claimNamed(dir, `${process.pid}-${randomBytes(6).toString('hex')}`);
    // Who looks for dead ones may have come between.
    if (claim !== undefined) return claim;
  }
  throw new Error(
    `No file in ${dir} can be locked: the ledger needs a folder on a file system with locks, and the right to write there.`,
  );
}

const MAX_TRIES = 20;

/** The journals that somebody has left behind; they are ours now. */
export function claimDead(dir: string): readonly Claim[] {
  const names = new Set(readdirSync(dir).flatMap((file) => OWNED.exec(file)?.groups?.name ?? []));
  return [...names].flatMap((name) => claimNamed(dir, name) ?? []);
}

/** Locked; or removed by whoever has just brought it in. */
const IN_USE = /^SQLITE_(BUSY|CANTOPEN|IOERR|READONLY_DBMOVED)/;

const OWNED = /^(?<name>\d+-[0-9a-f]+)(?:-\d+\.journal|\.lock)$/;

function claimNamed(dir: string, name: string): Claim | undefined {
  const path = join(dir, `${name}.lock`);
  let lock: Sqlite.Database | undefined;
  try {
    lock = new Sqlite(path, { timeout: 0 });
    lock.exec('begin exclusive');
  } catch (error) {
    lock?.close();
    if (IN_USE.test(String((error as { readonly code?: unknown }).code))) return undefined;
    throw error;
  }
  const held = lock;
  return {
    name,
    release(gone) {
      if (gone) rmSync(path, { force: true });
      held.close();
    },
  };
}

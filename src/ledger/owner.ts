import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { inodeOf } from '../core/inode.ts';

/**
 * A journal belongs to whoever holds the lock on `NAME.claim` beside it. The system takes the lock from a process that ends, however it ends,
 * on this machine or in another container, and nobody has to guess from process numbers who is alive. SQLite knows how to lock a file everywhere.
 */
export interface Claim {
  /** Of the journal. */
  readonly name: string;
  /** Locks another file where somebody has removed the one that was locked, or moved it away. @throws Error of the system; of SQLite where somebody else was faster */
  renew(): void;
  /** @param gone Nothing of it is left: the lock's file goes, too. */
  release(gone: boolean): void;
}

const MAX_TRIES = 20;

/** A new journal in a folder, which is made where there is none. @throws Error that says what the folder must be like */
export function claimNew(dir: string): Claim {
  makeJournalFolder(dir);
  let cause: unknown;
  for (let tries = 0; tries < MAX_TRIES; tries++)
    try {
      return claimNamed(dir, `${process.pid}-${randomBytes(6).toString('hex')}`, '.claim');
    } catch (error) {
      // Somebody who looks for dead ones may have come in between.
      if (!isHeld(error) && !isUnusable(error)) throw error;
      cause = error;
    }
  throw new Error(
    `No file in ${dir} can be locked: the ledger needs a folder on a file system with locks, and the right to write there.`,
    { cause },
  );
}

export interface DeadJournals {
  /** Those that are ours now. */
  readonly claims: readonly Claim[];
  /** There is a journal of which nobody can tell whether its process lives. */
  readonly problem: Error | undefined;
}

/** The journals that somebody has left behind. */
export function claimDead(dir: string): DeadJournals {
  const claims: Claim[] = [];
  let problem: Error | undefined;
  for (const [name, lock] of locks(dir))
    try {
      claims.push(claimNamed(dir, name, lock));
    } catch (error) {
      // Somebody has it; or has just brought it in and removed it.
      if (isHeld(error) || (isUnusable(error) && !locks(dir).has(name))) continue;
      problem = new Error(`the journal ${join(dir, name)} cannot be taken over: ${(error as Error).message}`);
    }
  return { claims, problem };
}

/** Whether there is a process whose journal is here. */
export function isAnyHeld(dir: string): boolean {
  for (const [name, lock] of locks(dir))
    try {
      claimNamed(dir, name, lock).release(false);
    } catch (error) {
      if (isHeld(error)) return true;
    }
  return false;
}

/** Whether nothing is in the folder but what belongs to this journal. @throws Error of the system */
export function isAlone(dir: string, name: string): boolean {
  return readdirSync(dir).every((file) => file.startsWith(name));
}

type Lock = '.claim' | '.lock';
const OWNED = /^(?<name>\d+-[0-9a-f]+)(?:-\d+\.(?:rows|journal)|\.(?:claim|lock))$/;

/** The journals in a folder, and which file locks each: those of gateways from before there were binary blocks have another. */
function locks(dir: string): ReadonlyMap<string, Lock> {
  const found = new Map<string, Lock>();
  for (const file of readdirSync(dir)) {
    const name = OWNED.exec(file)?.groups?.name;
    if (name !== undefined) found.set(name, /\.(?:rows|claim)$/.test(file) ? '.claim' : '.lock');
  }
  return found;
}

/** Nobody else may look at what is in it. @throws Error of the system */
export function makeJournalFolder(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
}

/** @throws Error of SQLite */
function claimNamed(dir: string, name: string, end: Lock): Claim {
  const path = join(dir, `${name}${end}`);
  let lock = locked(path);
  let inode = inodeOf(path);
  return {
    name,
    renew() {
      if (inode !== undefined && inodeOf(path) === inode) return;
      // First, as SQLite removes by its name what lies beside its file.
      lock.close();
      inode = undefined;
      makeJournalFolder(dir);
      lock = locked(path);
      inode = inodeOf(path);
    },
    release(gone) {
      if (gone) rmSync(path, { force: true });
      lock.close();
    },
  };
}

/** @throws Error of SQLite */
function locked(path: string): Sqlite.Database {
  const lock = new Sqlite(path, { timeout: 0 });
  try {
    lock.exec('begin exclusive');
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

function isHeld(error: unknown): boolean {
  return codeOf(error).startsWith('SQLITE_BUSY');
}

/** Not there (any more), or not writable. */
function isUnusable(error: unknown): boolean {
  return /^SQLITE_(CANTOPEN|IOERR|READONLY)/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown }).code);
}

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isOldRow, type OldRow } from './old-row.ts';
import type { AttemptRow } from './row.ts';

export type JournalRow = AttemptRow | OldRow;

/** A row that the database will not take, however often it is asked. */
export interface RefusedRow {
  readonly row: JournalRow;
  readonly reason: string;
}

const FILE = 'refused-rows.jsonl';
/** The file, or one that somebody has begun to try again. */
const NAME = /^refused-rows(?:-[0-9a-f]+)?\.jsonl$/;

/**
 * Rows that the database will not take, kept beside the journals: a line of JSON each, with the reason. They are in
 * no sum. Somebody has to look at them, and then try them again or move the file away.
 *
 * @returns Undefined: there are none.
 */
export function refusedPath(dir: string): string | undefined {
  return refusedPaths(dir)[0];
}

/**
 * Adds rows, which then survive a power failure. The same ones may come twice, as they have names.
 *
 * @throws Error of the system
 */
export function setAside(dir: string, refused: readonly RefusedRow[]): void {
  append(
    dir,
    refused.map((one) => JSON.stringify(one)),
  );
}

export interface Refused {
  /** Each once. */
  readonly rows: readonly RefusedRow[];
  /** Lines that hold none: somebody or something has changed them. */
  readonly unreadable: readonly string[];
}

/** All that are set aside. @throws Error of the system */
export function readRefused(dir: string): Refused {
  return readAll(refusedPaths(dir));
}

/**
 * Tries all of them again, also while gateways run. What is refused again, and what cannot be read, stays set aside; a crash in the middle loses
 * nothing.
 *
 * @param insert Adds rows that may be there already. Resolves to those that are refused.
 * @returns What is still refused, and how many are not any more.
 * @throws Error of the system, and what `insert` throws: then all stays where it is.
 */
export async function retryRefused(
  dir: string,
  insert: (rows: readonly JournalRow[]) => Promise<readonly RefusedRow[]>,
): Promise<Refused & { readonly taken: number }> {
  // Under another name it gets nothing more. Somebody else may have taken it in the meantime.
  const own = join(dir, `refused-rows-${randomBytes(6).toString('hex')}.jsonl`);
  ifThere(() => renameSync(join(dir, FILE), own), undefined);
  const paths = refusedPaths(dir).filter((path) => path !== join(dir, FILE));
  const { rows, unreadable } = readAll(paths);
  const refused = await insert(rows.map(({ row }) => row));
  append(dir, [...refused.map((one) => JSON.stringify(one)), ...unreadable]);
  for (const path of paths) rmSync(path, { force: true });
  return { rows: refused, unreadable, taken: rows.length - refused.length };
}

function append(dir: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  const path = join(dir, FILE);
  const fd = openSync(path, 'a', 0o600);
  try {
    const { size, ino } = fstatSync(fd);
    // Whoever could not write all has left half a line. It is not cut off: others may have written behind it.
    writeFileSync(fd, `${size > 0 ? '\n' : ''}${lines.map((line) => `${line}\n`).join('')}`);
    fdatasyncSync(fd);
    // Somebody has taken the file away, and may have read it before. While it is open no other file can be taken for it.
    if (statSync(path, { throwIfNoEntry: false })?.ino !== ino) append(dir, lines);
  } finally {
    closeSync(fd);
  }
}

function readAll(paths: readonly string[]): Refused {
  const rows = new Map<string, RefusedRow>();
  const unreadable = new Set<string>();
  for (const path of paths)
    for (const line of ifThere(() => readFileSync(path, 'utf8'), '').split('\n')) {
      if (line === '') continue;
      const one = parse(line);
      if (one === undefined) unreadable.add(line);
      else rows.set(nameOf(one.row), one);
    }
  return { rows: [...rows.values()], unreadable: [...unreadable] };
}

function parse(line: string): RefusedRow | undefined {
  try {
    const { row, reason } = JSON.parse(line) as RefusedRow;
    return isNamed(row) && typeof reason === 'string' ? { row, reason } : undefined;
  } catch {
    return undefined;
  }
}

function isNamed(row: JournalRow): boolean {
  return typeof (isOldRow(row) ? row[0] : row.settlementId) === 'string';
}

/** What tells a file from all others. */
export function nameOf(row: JournalRow): string {
  return isOldRow(row) ? row[0] : `${row.settlementId}.${row.number}`;
}

function refusedPaths(dir: string): readonly string[] {
  const names = ifThere(() => readdirSync(dir), []).filter((name) => NAME.test(name));
  return names.toSorted((a, b) => a.length - b.length).map((name) => join(dir, name));
}

function ifThere<T>(work: () => T, otherwise: T): T {
  try {
    return work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise;
    throw error;
  }
}

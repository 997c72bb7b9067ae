import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { RefusedRow } from './row.ts';

/**
 * Where rows are that the database will not take, beside the journals: a line of JSON each, with the reason. They are in no sum; somebody has
 * to look at them, and to move the file away then.
 *
 * @returns Undefined: there are none.
 */
export function refusedPath(dir: string): string | undefined {
  const path = pathIn(dir);
  return existsSync(path) ? path : undefined;
}

/** They survive a power failure. May come twice, as rows do; they have names. @throws Error of the system */
export function setAside(dir: string, refused: readonly RefusedRow[]): void {
  if (refused.length === 0) return;
  const fd = openSync(pathIn(dir), 'a', 0o600);
  const { size } = fstatSync(fd);
  try {
    writeFileSync(fd, refused.map((one) => `${JSON.stringify(one)}\n`).join(''));
    fdatasyncSync(fd);
  } catch (error) {
    // No half a line: they come again.
    ftruncateSync(fd, size);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function pathIn(dir: string): string {
  return join(dir, 'refused-rows.jsonl');
}

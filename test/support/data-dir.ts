import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of its own for a gateway in this process: the default is the checkout's `data`, which is for people. Removed after the run. */
export function newDataDir(): string {
  return mkdtempSync(join(tmpdir(), 'qianmen-data-'));
}

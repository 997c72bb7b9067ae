import { join } from 'node:path';
import { usdText } from '../api/usd.ts';
import { insertRows } from '../ledger/insert.ts';
import { isOldRow } from '../ledger/old-row.ts';
import { type JournalRow, nameOf, type Refused, readRefused, retryRefused } from '../ledger/refused.ts';
import { dateText } from './key-view.ts';
import { readConfig } from './read-config.ts';
import type { Environment } from './run.ts';
import { textTable } from './text-table.ts';
import { type DatabaseFlags, jsonText, withDatabase } from './with-database.ts';

/** `qianmen database refused`. With `retry` exit code 1 if some still are. */
export async function refusedRows(
  flags: DatabaseFlags & { readonly retry?: boolean },
  env: Environment,
): Promise<void> {
  const dir = join(readConfig(flags, env).dataDir, 'ledger');
  if (!flags.retry) {
    const refused = readRefused(dir);
    process.stdout.write(flags.json ? jsonText(refused) : refusedText(refused));
    return;
  }
  await withDatabase(flags, env, async (database) => {
    const tried = await retryRefused(dir, (rows) => insertRows(database, rows));
    const taken = `The database has taken ${tried.taken} rows.\n`;
    process.stdout.write(flags.json ? jsonText(tried) : `${taken}${refusedText(tried)}`);
    if (tried.rows.length + tried.unreadable.length > 0) process.exitCode = 1;
  });
}

function refusedText({ rows, unreadable }: Refused): string {
  // What is wrong may be any of them.
  const cells = rows.map(({ row, reason }) => [...factsOf(row), reason].map(String));
  const titles = ['ID', 'AT', 'PROJECT', 'KEY', 'MODEL', 'USD', 'REASON'];
  const table = rows.length === 0 ? 'No rows are refused.\n' : textTable(titles, cells);
  const lines = unreadable.length === 0 ? '' : `${unreadable.length} lines hold no row.\n`;
  return `${table}${lines}`;
}

function factsOf(row: JournalRow): readonly unknown[] {
  if (isOldRow(row)) {
    const [id, atMs, , projectId, keyId, , , model, , , , , , , , , nanoUsd] = row;
    return [id, timeText(atMs), projectId, keyId, model, usdText(Number(nanoUsd))];
  }
  const { atMs, label, costNanoUsd } = row;
  const { projectId, keyId, model } = label;
  return [nameOf(row), timeText(atMs), projectId, keyId, model, usdText(Number(costNanoUsd))];
}

function timeText(atMs: number): string {
  return Number.isNaN(new Date(atMs).getTime()) ? String(atMs) : dateText(atMs);
}

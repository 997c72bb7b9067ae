import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { callerOf, settled } from '../../test/ledger/events.ts';
import { Drain } from './drain.ts';
import { Journal } from './journal.ts';
import type { JournalRow } from './refused.ts';
import { settledRows } from './row.ts';

it('has nothing to make safe of a file that it has brought in and removed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'qianmen-drain-'));
  const inserted: JournalRow[] = [];
  const drain = new Drain({
    dir,
    own: '1-a',
    insert: async (rows) => {
      inserted.push(...rows);
      return [];
    },
  });
  const journal = new Journal({ dir, name: '1-a', onProblem: () => {} });
  const caller = callerOf(1);
  const rows = settledRows({ ...settled('s', caller, 3), caller }, 1);
  journal.add({ type: 'settled', settlementId: 's', rows });
  journal.close();
  await drain.runOwn();
  await drain.runOwn(true);
  expect(inserted).toEqual(rows);
  expect(readdirSync(dir)).toEqual([]);
  expect(() => drain.sync()).not.toThrow();
});

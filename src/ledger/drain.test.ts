import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Drain } from './drain.ts';
import { Journal } from './journal.ts';
import { encodeRecord, type JournalRecord } from './record.ts';

it('has nothing to make safe of a file that it has brought in and removed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'qianmen-drain-'));
  const inserted: JournalRecord['rows'][] = [];
  const drain = new Drain({
    dir,
    own: '1-a',
    insert: async (rows) => {
      inserted.push(...rows);
      return [];
    },
  });
  const journal = new Journal({ dir, name: '1-a', onProblem: () => {} });
  journal.add(encodeRecord('settled', 's', '[]'));
  journal.close();
  await drain.runOwn();
  await drain.runOwn(true);
  expect(inserted).toEqual(['[]']);
  expect(readdirSync(dir)).toEqual([]);
  expect(() => drain.sync()).not.toThrow();
});

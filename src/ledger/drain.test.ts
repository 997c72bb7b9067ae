import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { callerOf, settled } from '../../test/ledger/events.ts';
import type { JournalRecord } from './block.ts';
import { Drain } from './drain.ts';
import { Journal } from './journal.ts';
import type { JournalRow } from './refused.ts';
import { type AttemptRow, settledRows } from './row.ts';

const caller = callerOf(1);
let dir: string;
let inserted: JournalRow[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qianmen-drain-'));
  inserted = [];
});

const drainOf = (own: string) =>
  new Drain({
    dir,
    own,
    insert: async (rows) => {
      inserted.push(...rows);
      return [];
    },
  });

/** Each record in a file of its own. */
const newJournal = () => new Journal({ dir, name: '1-a', segmentBytes: 1, onProblem: () => {} });

function record(type: 'open' | 'settled', settlementId: string, atMs: number): JournalRecord {
  return { type, settlementId, rows: settledRows({ ...settled(settlementId, caller, 3), caller }, atMs) };
}

it('has nothing to make safe of a file that it has brought in and removed', async () => {
  const drain = drainOf('1-a');
  const journal = newJournal();
  const ended = record('settled', 's', 1);
  journal.add(ended);
  journal.close();
  await drain.runOwn();
  await drain.runOwn(true);
  expect(inserted).toEqual(ended.rows);
  expect(readdirSync(dir)).toEqual([]);
  expect(() => drain.sync()).not.toThrow();
});

it('keeps the end of a request as long as its beginning, which somebody may have to read again', async () => {
  const journal = newJournal();
  for (const one of [record('open', 'a', 1), record('open', 'b', 2), record('settled', 'b', 3)]) {
    journal.add(one);
    journal.write();
  }
  journal.add(record('settled', 'c', 4));
  journal.close();
  await drainOf('1-a').runOwn();
  // It is killed before `a` has ended.
  inserted = [];
  await drainOf('1-a').runOwn(true);
  expect(inserted.map((row) => [(row as AttemptRow).settlementId, (row as AttemptRow).atMs])).toEqual([
    ['b', 3],
    ['c', 4],
    ['a', 1],
  ]);
  expect(readdirSync(dir)).toEqual([]);
});

it('leaves to the next pass what comes during one', async () => {
  const journal = new Journal({ dir, name: '1-a', onProblem: () => {} });
  const note = (id: string) => {
    journal.add(record('settled', id, 1));
    journal.write();
  };
  const batches: string[][] = [];
  const drain = new Drain({
    dir,
    own: '1-a',
    insert: async (rows) => {
      batches.push((rows as readonly AttemptRow[]).map(({ settlementId }) => settlementId));
      if (batches.length === 1) note('c');
      return [];
    },
  });
  note('a');
  note('b');
  await drain.runOwn();
  expect(batches).toEqual([['a', 'b']]);
  await drain.runOwn();
  expect(batches).toEqual([['a', 'b'], ['c']]);
  journal.close();
});

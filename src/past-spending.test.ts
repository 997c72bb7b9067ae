import { expect, it } from 'vitest';
import { newDataDir } from '../test/support/data-dir.ts';
import type { SpentTotals } from './ledger/spent.ts';
import { PastSpending } from './past-spending.ts';
import { LateDatabase } from './store/late-database.ts';

const NOTHING: SpentTotals = {
  key: new Map(),
  project: new Map(),
  organization: new Map(),
  model: new Map(),
};

it('is read only once the journals of the dead are in, which is tried again', async () => {
  const database = new LateDatabase({ kind: 'sqlite', path: `${newDataDir()}/db` });
  await database.start();
  const problems = ['the disk is away', undefined];
  const flush = async () => problems.shift();
  const past = new PastSpending({
    database,
    ledger: { flush },
    reader: { spentTotals: async () => NOTHING },
  });
  await expect(past.totals(Date.now())).rejects.toThrow('the disk is away');
  expect(await past.totals(Date.now())).toEqual(NOTHING);
  expect(problems).toEqual([]);
  await database.close();
});

it('is read in a thread of its own from when somebody is served', async () => {
  const database = new LateDatabase({ kind: 'sqlite', path: `${newDataDir()}/db` });
  await database.start();
  const asked: number[] = [];
  const spentTotals = async (nowMs: number) => {
    asked.push(nowMs);
    return NOTHING;
  };
  const past = new PastSpending({
    database,
    ledger: { flush: async () => undefined },
    reader: { spentTotals },
  });
  await past.totals(1);
  past.servingBegins();
  await past.totals(2);
  expect(asked).toEqual([2]);
  await database.close();
});

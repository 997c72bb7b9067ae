import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Journal } from '../../src/ledger/journal.ts';
import { claimNew } from '../../src/ledger/owner.ts';
import { settledRows } from '../../src/ledger/row.ts';
import { Writer } from '../../src/ledger/writer.ts';
import { openDatabase } from '../../src/store/database.ts';
import { describeDatabases } from '../store/databases.ts';
import { eventually } from '../support/gateway-process.ts';
import { callerOf, settled } from './events.ts';

describeDatabases("the ledger's thread", (newLocation) => {
  it('is there only while there is something to bring, and brings everything once', async () => {
    const root = mkdtempSync(join(tmpdir(), 'qianmen-writer-'));
    const dir = join(root, 'ledger');
    const location = await newLocation();
    const { name, release } = claimNew(dir);
    const journal = new Journal({ dir, name, onProblem: () => {} });
    const died: Error[] = [];
    const writer = new Writer({
      ...{ location, dir, journal: name, quietPasses: 1 },
      isQuiet: () => true,
      onPassed: () => {},
      onDied: (error) => died.push(error),
    });
    onTestFinished(async () => {
      await writer.finish();
      release(true);
      rmSync(root, { recursive: true, force: true });
    });
    const recordOf = (settlementId: string) => {
      const rows = settledRows({ ...settled(settlementId, callerOf(1), 3), caller: callerOf(1) }, 1);
      return { type: 'settled', settlementId, rows } as const;
    };
    const write = (id: string) => {
      journal.add(recordOf(id));
      journal.write();
      writer.wake();
    };
    const spent = async () => {
      const database = await openDatabase(location);
      try {
        const rows = await database.kysely.selectFrom('every_attempt').select('id').orderBy('id').execute();
        return rows.map(({ id }) => id);
      } finally {
        await database.close();
      }
    };

    expect(await writer.flush()).toBeUndefined();
    expect(writer.isAwake).toBe(false);
    write('a');
    expect(writer.isAwake).toBe(true);
    await eventually('it rests', () => !writer.isAwake);
    expect(await spent()).toEqual(['a.0']);
    write('b');
    write('c');
    await eventually('it rests again', () => !writer.isAwake);
    expect(await spent()).toEqual(['a.0', 'b.0', 'c.0']);

    // Of somebody who has died.
    const left = new Journal({ dir, name: '1-aaaaaaaaaaaa', onProblem: () => {} });
    left.add(recordOf('d'));
    left.close();
    expect(await writer.flush()).toBeUndefined();
    expect(await spent()).toEqual(['a.0', 'b.0', 'c.0', 'd.0']);

    // Who comes while it rests, and goes before it has opened its database again.
    await eventually('it rests once more', () => !writer.isAwake);
    write('e');
    journal.close();
    expect(await writer.finish()).toBe(true);
    expect(await spent()).toHaveLength(5);
    expect(readdirSync(dir).filter((file) => file.endsWith('.rows'))).toEqual([]);
    expect(died).toEqual([]);
  });
});

it.skipIf(!existsSync('/proc/thread-self'))(
  "the ledger's thread is nicer than those that serve, as long as not much waits for it",
  async () => {
    const root = mkdtempSync(join(tmpdir(), 'qianmen-writer-'));
    const dir = join(root, 'ledger');
    const { name, release } = claimNew(dir);
    const journal = new Journal({ dir, name, onProblem: () => {} });
    const writer = new Writer({
      // That is a folder: what is written waits.
      location: { kind: 'sqlite', path: root },
      ...{ dir, journal: name, isQuiet: () => true },
      onPassed: () => {},
      onDied: () => {},
    });
    onTestFinished(async () => {
      await writer.finish();
      release(true);
      rmSync(root, { recursive: true, force: true });
    });
    const rows = settledRows({ ...settled('a', callerOf(1), 3), caller: callerOf(1) }, 1);
    const write = (count: number) => {
      for (let i = 0; i < count; i++) journal.add({ type: 'settled', settlementId: 'a', rows });
      journal.write();
      writer.wake();
    };
    const nicenessIs = (wanted: number) => () => nicenessOf('ledger-writer') === wanted;
    write(1);
    await eventually('it is nicer', nicenessIs(Math.min(getPriority() + 5, 19)));
    write(35_000);
    if (mayTakeNicenessBack()) await eventually('it hurries', nicenessIs(getPriority()));
    journal.close();
  },
);

/** Of a thread of this process. */
function nicenessOf(name: string): number | undefined {
  for (const thread of readdirSync('/proc/self/task'))
    try {
      const [, comm, rest] = /\((.*)\) (.*)/.exec(readFileSync(`/proc/self/task/${thread}/stat`, 'utf8'))!;
      if (comm === name) return Number(rest!.split(' ')[16]);
    } catch {
      // It has just ended.
    }
  return undefined;
}

function mayTakeNicenessBack(): boolean {
  if (!existsSync('/proc/thread-self')) return false;
  const [, capabilities = '0'] = /^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const sysNice = 23n;
  return ((BigInt(`0x${capabilities}`) >> sysNice) & 1n) === 1n;
}

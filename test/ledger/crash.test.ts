import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BlockWriter } from '../../src/ledger/block-writer.ts';
import { Ledger, type LedgerOptions } from '../../src/ledger/ledger.ts';
import { settledRows } from '../../src/ledger/row.ts';
import type { LedgerLosses } from '../../src/ledger/writer-messages.ts';
import { openDatabase } from '../../src/store/database.ts';
import { databaseLocation } from '../../src/store/location.ts';
import { admitted, attemptsOf, callerOf, settled } from './events.ts';

const PROGRAM = join(import.meta.dirname, 'spend-process.ts');
let dir: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qianmen-ledger-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

function openLedger(options: Partial<LedgerOptions> = {}): Ledger {
  const location = databaseLocation({ database: 'sqlite', dataDir: dir });
  return new Ledger({ location, dir: join(dir, 'ledger'), maxBytes: 1e9, ...options });
}

async function rows() {
  const database = await openDatabase(databaseLocation({ database: 'sqlite', dataDir: dir }));
  try {
    return await database.kysely.selectFrom('every_attempt').selectAll().orderBy('id').execute();
  } finally {
    await database.close();
  }
}

/** Spends until it is killed, after `forMs`. Resolves to what it was promised. */
async function spendAndDie(name: string, forMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [PROGRAM, dir, 'sqlite', name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let output = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  await once(child.stdout!, 'data');
  setTimeout(() => child.kill('SIGKILL'), forMs);
  await once(child, 'close');
  return output.split('\n').slice(0, -1);
}

it('keeps every row of gateways that are killed, once, and takes what had not ended as it was last heard of', async () => {
  const promised: string[] = [];
  for (const [i, forMs] of [30, 700, 1_600].entries())
    promised.push(...(await spendAndDie(`run${i}`, forMs)));
  const both = await Promise.all([spendAndDie('left', 900), spendAndDie('right', 1_200)]);
  promised.push(...both.flat());
  const ledger = openLedger();
  expect(await ledger.flush()).toBeUndefined();
  await ledger.close();

  const found = new Map((await rows()).map((row) => [row.id, row]));
  const ended = new Set<string>();
  for (const line of promised) {
    const [what, id, tokens] = line.split(' ');
    if (what !== 'settled') continue;
    ended.add(id!);
    const attempts = attemptsOf(Number(tokens));
    for (const [i, attempt] of attempts.entries())
      expect(found.get(`${id}.${i}`)).toMatchObject({
        cost_nano_usd: attempt.costNanoUsd,
        waste_nano_usd: attempt.wasteNanoUsd,
        completion_tokens: attempt.usage.completionTokens,
        request_id: 'req_same',
      });
    expect(found.has(`${id}.${attempts.length}`)).toBe(false);
  }
  const open = promised.flatMap((line) => (line.startsWith('open ') ? line.slice(5) : []));
  expect(ended.size).toBeGreaterThan(1_000);
  expect(open.length).toBeGreaterThan(50);
  for (const id of open) {
    const row = found.get(`${id}.0`);
    expect(row).toMatchObject({ outcome: 'interrupted', measured: 0 });
    expect(row!.cost_nano_usd).toBe(attemptsOf(30)[0]!.costNanoUsd);
  }
  const interrupted = [...found.values()].filter((row) => row.outcome === 'interrupted');
  expect(interrupted.some((row) => row.cost_nano_usd > 0)).toBe(true);
  expect(readdirSync(join(dir, 'ledger'))).toEqual([]);
});

it('leaves the journal of a gateway that runs to it, whoever else looks', async () => {
  const [one, other] = [openLedger(), openLedger()];
  one.observe(admitted('slow', callerOf(1), () => 30));
  expect(await one.flush()).toBeUndefined();
  expect(await other.flush()).toBeUndefined();
  expect(await rows()).toEqual([]);
  one.observe(settled('slow', callerOf(1), 3));
  await one.close();
  await other.close();
  expect(await rows()).toMatchObject([{ id: 'slow.0', outcome: 'delivered' }]);
  expect(readdirSync(join(dir, 'ledger'))).toEqual([]);
});

it('brings a running gateway’s rows into the database within a second, and tells attempts apart', async () => {
  const ledger = openLedger();
  for (let i = 0; i < 100; i++) {
    ledger.observe(admitted(`a-${i}`, callerOf(i), () => 0));
    ledger.observe(settled(`a-${i}`, callerOf(i), i));
  }
  await expect
    .poll(async () => (await rows()).length)
    .toBe(Array.from({ length: 100 }, (_, i) => attemptsOf(i).length).reduce((a, b) => a + b));
  const outcomes = new Set((await rows()).map(({ kind, outcome }) => `${kind} ${outcome}`));
  expect(outcomes).toEqual(
    new Set([
      'first delivered',
      'first aborted',
      'first failed',
      'retry delivered',
      'retry aborted',
      'hedge lost',
    ]),
  );
  await ledger.close();
});

it('has no row of a request that was refused, or that nobody needed a key for', async () => {
  const ledger = openLedger();
  ledger.observe({ ...settled('refused', callerOf(1), 3), attempts: [] });
  ledger.observe({ ...settled('free', callerOf(1), 3), caller: undefined });
  expect(await ledger.flush()).toBeUndefined();
  expect(await rows()).toEqual([]);
  await ledger.close();
});

it('leaves out what a power failure has torn, says so, and takes the rest', async () => {
  const journal = join(dir, 'ledger');
  const first = openLedger();
  await first.flush();
  await first.close();
  const block = (...ids: string[]) => {
    const writer = new BlockWriter();
    const caller = callerOf(1);
    for (const settlementId of ids) {
      const rows = settledRows({ ...settled(settlementId, caller, 3), caller }, 1);
      writer.add({ type: 'settled', settlementId, rows });
    }
    return writer.finish();
  };
  const bad = block('bad');
  bad[bad.indexOf('bad') + 2] = 0x74;
  const torn = block('torn');
  const blocks = [block('whole', 'another'), bad, block('behind'), torn.subarray(0, torn.length - 3)];
  appendFileSync(join(journal, '1-00ff00ff00ff-1.rows'), Buffer.concat(blocks));
  const told: LedgerLosses[] = [];
  const second = openLedger({ onLosses: (losses) => told.push(losses) });
  expect(await second.flush()).toBeUndefined();
  await second.close();
  expect((await rows()).map(({ id }) => id)).toEqual(['another.0', 'behind.0', 'whole.0']);
  expect(told).toEqual([{ broken: 2, refused: 0, refusedPath: undefined }]);
});

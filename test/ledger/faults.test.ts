import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Journal } from '../../src/ledger/journal.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { settledRows } from '../../src/ledger/row.ts';
import { openDatabase } from '../../src/store/database.ts';
import { pinned } from '../../src/store/location.ts';
import { makeTenant } from '../access/tenants.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { chatBody, eventually, metric, startGatewayProcess } from '../support/gateway-process.ts';
import { admitted, callerOf, settled } from './events.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qianmen-ledger-faults-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const location = () => ({ kind: 'sqlite', path: join(dir, 'qianmen.db') }) as const;
const ledgerIn = (folder: string) => new Ledger({ location: location(), dir: folder, maxBytes: 1e9 });

async function rows() {
  const database = await openDatabase(location());
  try {
    return await database.kysely.selectFrom('every_attempt').selectAll().orderBy('id').execute();
  } finally {
    await database.close();
  }
}

it('does not begin in a folder where nothing can be locked, and says what it needs', () => {
  // Of the system: nobody can make a file in it, not even root.
  expect(() => ledgerIn('/proc/self/fdinfo')).toThrow(
    'No file in /proc/self/fdinfo can be locked: the ledger needs a folder on a file system with locks',
  );
});

it('tells of a journal whose lock cannot be opened, takes over all others meanwhile, and this one once it can', async () => {
  const folder = join(dir, 'ledger');
  mkdirSync(folder);
  for (const name of ['1-aaaaaaaaaaaa', '2-bbbbbbbbbbbb', '3-cccccccccccc']) {
    const journal = new Journal({ dir: folder, name, onProblem: () => {} });
    const caller = callerOf(1);
    const rows = settledRows({ ...settled(name, caller, 3), caller }, 1);
    journal.add({ type: 'settled', settlementId: name, rows });
    journal.close();
  }
  const lock = join(folder, '2-bbbbbbbbbbbb.claim');
  mkdirSync(lock);
  const told: (string | undefined)[] = [];
  const ledger = new Ledger({
    location: location(),
    dir: folder,
    maxBytes: 1e9,
    onProblem: (problem) => told.push(problem),
  });
  onTestFinished(() => ledger.close());
  expect(await ledger.flush()).toContain(`${join(folder, '2-bbbbbbbbbbbb')} cannot be taken over`);
  await eventually('it is a problem', () => ledger.problem?.includes('cannot be taken over') === true);
  expect((await rows()).map(({ id }) => id)).toEqual(['1-aaaaaaaaaaaa.0', '3-cccccccccccc.0']);
  // It does not hold up our own, and is told once.
  for (let i = 0; i < 6; i++) {
    ledger.observe(admitted(`own-${i}`, callerOf(1), () => 0));
    ledger.observe(settled(`own-${i}`, callerOf(1), 3));
    await eventually('it is in', async () => (await rows()).length === 3 + i, 2_000);
  }
  expect(told).toHaveLength(1);
  rmSync(lock, { recursive: true });
  expect(await ledger.flush()).toBeUndefined();
  expect(await rows()).toHaveLength(9);
  await eventually('it is well', () => told.length === 2 && told[1] === undefined);
});

it('counts as backlog what the database does not have, and nothing else', async () => {
  const ledger = ledgerIn(join(dir, 'ledger'));
  onTestFinished(() => ledger.close());
  for (let i = 0; i < 100; i++) {
    const caller = callerOf(1);
    ledger.observe(admitted(`s-${i}`, caller, () => 0));
    ledger.observe(settled(`s-${i}`, caller, 3));
  }
  expect(await ledger.flush()).toBeUndefined();
  expect(ledger.backlogBytes).toBe(0);
  const [file] = readdirSync(join(dir, 'ledger')).filter((name) => name.endsWith('.rows'));
  expect(file).toBeDefined();
});

it('keeps in its journal what is used while the file of the database is away, or another has its name', async () => {
  const { path } = location();
  await (await openDatabase(location())).close();
  const start = () => new Ledger({ location: pinned(location()), dir: join(dir, 'ledger'), maxBytes: 1e9 });
  const use = (id: string) => {
    ledger.observe(admitted(id, callerOf(1), () => 0));
    ledger.observe(settled(id, callerOf(1), 3));
  };
  let ledger = start();
  use('before');
  expect(await ledger.flush()).toBeUndefined();
  renameSync(path, `${path}-away`);
  use('away');
  expect(await ledger.flush()).toContain(
    'somebody has removed, replaced or emptied its file while it was in use',
  );
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, '');
  use('replaced');
  expect(await ledger.flush()).toContain('somebody has removed, replaced or emptied its file');
  expect(readFileSync(path, 'utf8')).toBe('');
  renameSync(`${path}-away`, path);
  expect(await ledger.flush()).toBeUndefined();
  await ledger.close();
  // Also by a thread that begins when it is away.
  ledger = start();
  renameSync(path, `${path}-away`);
  use('later');
  expect(await ledger.flush()).toContain('somebody has removed, replaced or emptied its file');
  expect(existsSync(path)).toBe(false);
  renameSync(`${path}-away`, path);
  await eventually('it is brought in', async () => (await ledger.flush()) === undefined);
  await ledger.close();
  expect((await rows()).map(({ id }) => id)).toEqual(['away.0', 'before.0', 'later.0', 'replaced.0']);
});

const filesIn = (folder: string) => readdirSync(folder).map((file) => join(folder, file));

describe.each<readonly [string, (folder: string) => void]>([
  ['is removed', (folder) => rmSync(folder, { recursive: true })],
  ['is emptied', (folder) => filesIn(folder).forEach((file) => void rmSync(file))],
  ['is moved away', (folder) => renameSync(folder, `${folder}-moved`)],
  [
    'has its journals cut, after they were read',
    (folder) =>
      filesIn(folder).forEach((file) => {
        if (file.endsWith('.rows')) truncateSync(file);
      }),
  ],
])('a folder that %s under a ledger that runs', (what, happens) => {
  it('has everything that was used before and after, and what runs is not taken for left behind', async () => {
    const folder = join(dir, 'ledger');
    const ledger = ledgerIn(folder);
    const caller = callerOf(1);
    const use = (id: string) => {
      ledger.observe(admitted(id, caller, () => 0));
      ledger.observe(settled(id, caller, 3));
    };
    ledger.observe(admitted('runs', caller, () => 0));
    use('read');
    expect(await ledger.flush()).toBeUndefined();
    if (!what.includes('read')) use('unread');
    await sleep(0);
    happens(folder);
    use('after');
    await sleep(0);
    const other = ledgerIn(folder);
    onTestFinished(() => other.close());
    await ledger.flush();
    expect(await other.flush()).toBeUndefined();
    ledger.observe(settled('runs', caller, 6));
    await eventually('it is well', async () => (await ledger.flush()) === undefined);
    await ledger.close();
    const found = await rows();
    const expected = ['after', 'read', 'runs', ...(what.includes('read') ? [] : ['unread'])];
    expect(found.map(({ id }) => id)).toEqual(expected.map((id) => `${id}.0`));
    expect(found.find(({ id }) => id === 'runs.0')?.completion_tokens).toBe(6);
    expect(readdirSync(folder).filter((file) => file.endsWith('.rows'))).toEqual([]);
  });
});

const cannotMount = spawnSync('unshare', ['-m', 'true']).status === 0 ? undefined : 'needs root';

describe.skipIf(cannotMount)('a disk that is full', () => {
  const PRICE = { inputUsdPerMTok: 1, outputUsdPerMTok: 2 };
  let ballast: string;
  beforeEach(() => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', dir]);
    ballast = join(dir, 'ballast');
  });
  afterEach(() => execFileSync('umount', ['-l', dir]));

  function fillUp(): void {
    for (let sizeBytes = 1 << 20; sizeBytes >= 1024; sizeBytes /= 4)
      try {
        for (;;) writeFileSync(ballast, Buffer.alloc(sizeBytes), { flag: 'a' });
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' });
      }
    expect(statfsSync(dir).bfree).toBeLessThan(2);
  }

  it('costs nobody who is being served, refuses who comes with 503, loses nothing, and is over when there is room', async () => {
    const fake = await startFakeUpstream({ behaviour: { itlMs: 20, tokens: 200 } });
    onTestFinished(() => fake.close());
    const database = await openDatabase(location());
    const secret = (await makeTenant(database, 'alpha')).secrets.admin;
    await database.close();
    const gateway = await startGatewayProcess({
      dataDir: dir,
      upstreams: [{ name: 'fake', url: fake.url }],
      models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model', price: PRICE }] }],
    });
    onTestFinished(() => gateway.kill());
    const told = new Map<string, number>();
    let asked = 0;
    const ask = async (tokens: number): Promise<{ status: number; text: string }> => {
      const id = `asked-${++asked}`;
      const response = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${secret}`,
          'x-request-id': id,
        },
        body: chatBody('m', { max_tokens: tokens, stream: true, stream_options: { include_usage: true } }),
      });
      const text = await response.text();
      const usage = /"completion_tokens":(\d+)/.exec(text)?.[1];
      if (response.status === 200) {
        expect(text).toContain('[DONE]');
        told.set(id, Number(usage));
      }
      return { status: response.status, text };
    };
    await ask(2);
    const running = [80, 90, 100].map(ask);
    await eventually('they are being served', () => fake.inFlight() === running.length);
    fillUp();
    let refused = await ask(2);
    await eventually('it refuses', async () => {
      refused = await ask(2);
      return refused.status === 503;
    });
    expect(refused.text).toContain('Usage cannot be recorded at the moment');
    await eventually('it tells', () => gateway.output().includes('ENOSPC'));
    for (const { status } of await Promise.all(running)) expect(status).toBe(200);
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    expect(await metric(gateway.url, 'qianmen_ledger_up', secret)).toBe(0);
    rmSync(ballast);
    await eventually('it serves again', async () => (await ask(2)).status === 200);
    await eventually(
      'it says so',
      async () => (await metric(gateway.url, 'qianmen_ledger_up', secret)) === 1,
    );
    gateway.child.kill('SIGTERM');
    expect(await gateway.exited).toBe(0);
    const found = await rows();
    expect(new Map(found.map((row) => [row.request_id, row.completion_tokens]))).toEqual(told);
    expect(found).toHaveLength(told.size);
    expect(readdirSync(join(dir, 'ledger')), gateway.output()).toEqual([]);
  });
});

it('writes running requests down as often as it says, however long the turns of the event loop take', async () => {
  const ledger = ledgerIn(dir);
  onTestFinished(() => ledger.close());
  let turn = 0;
  const noted: number[] = [];
  const note = () => {
    noted.push(turn);
    return 0;
  };
  for (let i = 0; i < 65; i++) ledger.observe(admitted(`many-${i}`, callerOf(1), i === 0 ? note : () => 0));
  for (; noted.length < 3 && turn < 40; turn++) {
    const untilMs = performance.now() + 100;
    while (performance.now() < untilMs);
    await sleep(0);
  }
  const [first = 0, second = 0, third = Number.POSITIVE_INFINITY] = noted;
  // Twice a second, and a look later.
  expect(second - first).toBeLessThanOrEqual(7);
  expect(third - second).toBeLessThanOrEqual(7);
  for (let i = 0; i < 65; i++) ledger.observe(settled(`many-${i}`, callerOf(1), 0));
});

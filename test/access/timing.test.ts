import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newApiKey } from '../../src/access/api-key.ts';
import { Authenticator } from '../../src/access/authenticator.ts';
import { ApiKeys } from '../../src/store/api-keys.ts';
import { findCaller } from '../../src/store/callers.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { endedSince } from '../../src/store/ended.ts';
import { keyRevision } from '../../src/store/revision.ts';
import { makeTenant, type Tenant } from './tenants.ts';

/** Beyond it two kinds of input are told apart by their time (Reparaz et al., "Dude, is my code constant time?"). */
const TOLD_APART = 4.5;
const SAMPLES = 4_000;
/** Of each kind the slowest are left out: they tell of the machine. */
const KEPT = 0.9;

/** Welch's t of the times that two kinds of input take, asked in random order. */
async function welchT(kinds: readonly [() => string, () => string], ask: (text: string) => Promise<unknown>) {
  const times: [number[], number[]] = [[], []];
  for (let i = 0; i < 2 * SAMPLES; i += 1) {
    const kind = Math.random() < 0.5 ? 0 : 1;
    // In one piece, whatever it was made of.
    const text = Buffer.from(kinds[kind]()).toString('latin1');
    const startedAt = process.hrtime.bigint();
    await ask(text);
    times[kind].push(Number(process.hrtime.bigint() - startedAt));
  }
  const all = times.flat().sort((a, b) => a - b);
  const bound = all[Math.floor(all.length * KEPT)]!;
  const [a, b] = times.map((some) => momentsOf(some.filter((time) => time <= bound)));
  return (a!.mean - b!.mean) / Math.sqrt(a!.variance / a!.count + b!.variance / b!.count);
}

function momentsOf(values: readonly number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, variance, count: values.length };
}

// Something else on the machine may fall on one of the kinds.
describe('the time that a wrong key takes', { retry: 3 }, () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-timing-'));
  let database: Database;
  let tenant: Tenant;

  beforeAll(async () => {
    database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
    tenant = await makeTenant(database, 'alpha');
  });

  afterAll(async () => {
    await database.close();
    rmSync(dataDir, { recursive: true });
  });

  async function door(find = findCaller): Promise<Authenticator> {
    const authenticator = new Authenticator({
      directory: {
        find: (hash, nowMs) => find(database, hash, nowMs),
        endedSince: (sinceMs) => endedSince(database, sinceMs),
        revision: () => keyRevision(database),
        anyKeys: () => new ApiKeys(database).any(),
      },
      ttlMs: 60_000,
    });
    await authenticator.poll();
    await authenticator.authenticate(tenant.secrets.user);
    return authenticator;
  }

  const refused = (authenticator: Authenticator) => async (secret: string) => {
    try {
      await authenticator.authenticate(secret);
    } catch {
      return;
    }
    throw new Error('a wrong key was taken');
  };

  const random = () => newApiKey().secret;
  /** A known key but for the end. */
  const nearly = () => `${tenant.secrets.user.slice(0, 38)}${random().slice(-8)}`;

  it('does not tell how much of it is right', async () => {
    expect(Math.abs(await welchT([random, nearly], refused(await door())))).toBeLessThan(TOLD_APART);
  }, 60_000);

  it('would tell if a lookup went by the beginning of the secret', async () => {
    const known = tenant.secrets.user.slice(0, 8);
    let asked = '';
    const leaking = await door(async (...given) => {
      if (asked.startsWith(known)) await findCaller(...given);
      return await findCaller(...given);
    });
    const ask = refused(leaking);
    const t = await welchT([random, nearly], (secret) => {
      asked = secret;
      return ask(secret);
    });
    expect(Math.abs(t)).toBeGreaterThan(TOLD_APART);
  }, 60_000);
});

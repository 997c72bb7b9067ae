import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { Projects } from '../../src/store/projects.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { eventually, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { bearer, chat, gatewayConfig, makeKey, send } from './tenants.ts';

const HOUR_MS = 3_600_000;
const MODEL = 'model-of-alpha';

/** Loaded before the gateway: its clock of the day can be set, its monotonic time goes on. */
const SETTABLE_CLOCK = `
import { readFileSync } from 'node:fs';
const RealDate = Date;
const realNow = Date.now;
let offsetMs = 0;
const read = () => { offsetMs = Number(readFileSync(process.env.TEST_CLOCK_OFFSET, 'utf8')); };
read();
process.on('SIGUSR2', () => { read(); process.stderr.write('clock set to ' + offsetMs + '\\n'); });
globalThis.Date = class extends RealDate {
  constructor(...args) { if (args.length === 0) super(realNow() + offsetMs); else super(...args); }
  static now() { return realNow() + offsetMs; }
};
`;

/** From now to half an hour before midnight, so that an hour forward is tomorrow. */
function toLateEveningMs(): number {
  const dayMs = 24 * HOUR_MS;
  return dayMs - HOUR_MS / 2 - (Date.now() % dayMs);
}

describe('a gateway whose clock jumps by an hour', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-clock-'));
  const offsetFile = join(dataDir, 'offset');
  let fake: FakeUpstream;
  let gateway: GatewayProcess;
  let secrets: Record<'budget' | 'rate' | 'free' | 'expiring' | 'viewer', string>;
  const baseMs = toLateEveningMs();

  beforeAll(async () => {
    const database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
    secrets = await makeKeys(database);
    await database.close();
    const preload = join(dataDir, 'clock.mjs');
    writeFileSync(preload, SETTABLE_CLOCK);
    writeFileSync(offsetFile, `${baseMs}`);
    fake = await startFakeUpstream({ behaviour: { itlMs: 20, tokens: 10 } });
    gateway = await startGatewayProcess(gatewayConfig(fake, { dataDir }), {
      env: { NODE_OPTIONS: `--import=${pathToFileURL(preload)}`, TEST_CLOCK_OFFSET: offsetFile },
    });
  });

  afterAll(async () => {
    await gateway?.kill();
    await fake?.close();
    rmSync(dataDir, { recursive: true });
  });

  async function makeKeys(database: Database) {
    const { id: organizationId } = await new Organizations(database).create({ name: 'o' });
    const { id: projectId } = await new Projects(database).create({ name: 'p', organizationId });
    const make = async (terms: object) =>
      (await makeKey(database, { name: 'k', projectId, ...terms })).secret;
    return {
      budget: await make({ limits: { nanoUsdPerDay: 60_000 } }),
      rate: await make({ limits: { requestsPerMinute: 1 } }),
      free: await make({}),
      expiring: await make({ expiresAtMs: Date.now() + baseMs + HOUR_MS / 2 }),
      viewer: await make({ role: 'viewer' }),
    };
  }

  /** Of the clock, against the evening when it started. */
  async function jump(ms: number): Promise<void> {
    const offsetMs = baseMs + ms;
    writeFileSync(offsetFile, `${offsetMs}`);
    const before = gateway.output().length;
    gateway.child.kill('SIGUSR2');
    // What it says of requests may come after.
    const said = () => gateway.output().slice(before);
    await eventually('the clock is set', () => said().includes(`clock set to ${offsetMs}\n`));
  }

  const statusOf = async (secret: string) => {
    const reply = await chat(gateway.url, secret, MODEL, { max_tokens: 10 });
    return [reply.status, /"code":"(\w+)"/.exec(reply.body)?.[1]] as const;
  };

  it('gives no budget out again and no rate, and cuts no reply off', async () => {
    // Until the day's budget is used up.
    await eventually(
      'the budget is used up',
      async () => (await statusOf(secrets.budget))[0] === 429,
      20_000,
    );
    expect(await statusOf(secrets.budget)).toEqual([429, 'insufficient_quota']);
    expect((await statusOf(secrets.rate))[0]).toBe(200);
    for (const ms of [HOUR_MS, 0, -HOUR_MS, HOUR_MS]) {
      const running = chat(gateway.url, secrets.free, MODEL);
      await jump(ms);
      expect(await statusOf(secrets.budget)).toEqual([429, 'insufficient_quota']);
      expect(await statusOf(secrets.rate)).toEqual([429, 'rate_limit_exceeded']);
      expect((await running).status).toBe(200);
      expect((await statusOf(secrets.free))[0]).toBe(200);
    }
    await jump(0);
  });

  it('keeps the promise of when to come back', async () => {
    await jump(-HOUR_MS);
    const reply = await chat(gateway.url, secrets.rate, MODEL);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(reply.headers['retry-after'])).toBeLessThanOrEqual(60);
    await jump(0);
  });

  it('ends keys by the clock as it is set', async () => {
    expect((await statusOf(secrets.expiring))[0]).toBe(200);
    await jump(HOUR_MS);
    expect((await statusOf(secrets.expiring))[0]).toBe(401);
    await jump(0);
  });

  it('has every row in the ledger once, whatever time it says', async () => {
    const count = async () => {
      const reply = await send(gateway.url, `/admin/usage?from=2000-01-01&to=2100-01-01`, {
        headers: bearer(secrets.viewer),
      });
      const { usage } = JSON.parse(reply.body) as { usage: { requests: number }[] };
      return usage.reduce((sum, { requests }) => sum + requests, 0);
    };
    await eventually('all are there', async () => (await count()) === fake.requests.length);
  });
});

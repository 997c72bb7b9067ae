import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { makeTenant } from '../access/tenants.ts';
import { type FakeBehaviour, type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import {
  chatBody,
  eventually,
  type GatewayProcess,
  metric,
  startGatewayProcess,
} from '../support/gateway-process.ts';

/** What the servers do, by the model that is asked for. */
const SERVERS = {
  whole: {},
  cached: { cachedTokens: 3 },
  'without-usage': { omitUsage: true },
  negative: { saysUsage: { prompt_tokens: -3, completion_tokens: -7, total_tokens: -10 } },
  absurd: { saysUsage: { prompt_tokens: 9, completion_tokens: 1e15, total_tokens: 1e15 + 9 } },
  fractions: { saysUsage: { prompt_tokens: 9.5, completion_tokens: 7.5, total_tokens: 17 } },
  huge: { saysUsage: { prompt_tokens: 1e300, completion_tokens: 1e300, total_tokens: 2e300 } },
  words: { saysUsage: { prompt_tokens: '9', completion_tokens: '7', total_tokens: '16' } },
  promptless: { saysUsage: { prompt_tokens: undefined } },
  'all-cached': { saysUsage: { prompt_tokens_details: { cached_tokens: 400 } } },
  cut: { dieAfterEvents: 7 },
  broken: { errorAfterEvents: 5 },
  failing: { status: 500 },
} satisfies Record<string, FakeBehaviour>;
/** What these say cannot be true, or cannot be read. */
const LIARS: readonly string[] = ['negative', 'absurd', 'fractions', 'huge', 'words', 'promptless'];
/** Two servers, one of which never answers. */
const RETRIED = 'retried';
const PRICE = { inputUsdPerMTok: 1, cachedInputUsdPerMTok: 0.25, outputUsdPerMTok: 2 };
const NANO_USD_PER_TOKEN = { prompt: 1_000, cached: 250, completion: 2_000 };

interface Ask {
  readonly model: string;
  readonly tokens: number;
  readonly stream: boolean;
  /** The client goes away after so many events. */
  readonly leavesAfter: number | undefined;
}

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null;
}

/** What a client has got. */
interface Received extends Ask {
  readonly requestId: string;
  readonly status: number;
  /** With content. */
  readonly events: number;
  readonly usage: Usage | undefined;
  readonly end: 'whole' | 'error' | 'left' | 'broken-off';
  readonly tookMs: number;
  readonly endedAtMs: number;
}

const ask: fc.Arbitrary<Ask> = fc.record({
  model: fc.constantFrom(...Object.keys(SERVERS), RETRIED),
  tokens: fc.integer({ min: 1, max: 40 }),
  stream: fc.boolean(),
  leavesAfter: fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined, freq: 4 }),
});

const EACH: readonly Ask[] = [...Object.keys(SERVERS), RETRIED, RETRIED].map((model) => ({
  model,
  tokens: 20,
  stream: true,
  leavesAfter: undefined,
}));

const fakes = new Map<string, FakeUpstream>();
let dataDir: string;
let database: Database;
let secret: string;
let lastId = 0;
const gateways = new Set<GatewayProcess>();

beforeAll(async () => {
  for (const [model, behaviour] of Object.entries(SERVERS))
    fakes.set(model, await startFakeUpstream({ behaviour: { itlMs: 8, ...behaviour } }));
});
afterAll(() => Promise.all([...fakes.values()].map((fake) => fake.close())));

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'qianmen-conservation-'));
  database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
  secret = (await makeTenant(database, 'alpha')).secrets.admin;
});
afterEach(async () => {
  for (const gateway of gateways) await gateway.kill();
  gateways.clear();
  await database.close();
  rmSync(dataDir, { recursive: true });
});

/** Of what the others left nothing is there any more, and of the one that runs only what it holds. */
function isTakenOver(): boolean {
  const files = readdirSync(join(dataDir, 'ledger'));
  return (
    files.filter((file) => file.endsWith('.claim')).length === 1 &&
    !files.some((file) => file.endsWith('.rows'))
  );
}

async function startGateway(): Promise<GatewayProcess> {
  const deployment = (upstream: string) => ({ upstream, model: 'fake-model', price: PRICE });
  const gateway = await startGatewayProcess({
    dataDir,
    upstreams: [...fakes].map(([name, { url }]) => ({ name, url })),
    models: [
      ...[...fakes.keys()].map((name) => ({ name, deployments: [deployment(name)] })),
      { name: RETRIED, policy: 'round-robin', deployments: [deployment('failing'), deployment('whole')] },
    ],
  });
  gateways.add(gateway);
  return gateway;
}

/** Asks as clients do, and takes down what it gets. */
async function receive(url: string, { model, tokens, stream, leavesAfter }: Ask): Promise<Received> {
  lastId += 1;
  const requestId = `asked-${lastId}`;
  const leaving = new AbortController();
  const startedMs = performance.now();
  let status = 0;
  let events = 0;
  let usage: Usage | undefined;
  let end: Received['end'] = 'broken-off';
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${secret}`,
        'x-request-id': requestId,
      },
      body: chatBody(model, {
        max_tokens: tokens,
        ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
      }),
      signal: leaving.signal,
    });
    status = response.status;
    if (!stream || status !== 200) {
      usage = ((await response.json()) as { usage?: Usage }).usage;
      end = status === 200 ? 'whole' : 'error';
    } else {
      for await (const data of dataOf(response)) {
        if (data === '[DONE]') end = 'whole';
        else {
          const chunk = JSON.parse(data) as Chunk;
          if (chunk.error !== undefined) end = 'error';
          if (chunk.usage) usage = chunk.usage;
          if (chunk.choices?.[0]?.delta?.content) events += 1;
        }
        if (events === leavesAfter && end === 'broken-off') {
          end = 'left';
          leaving.abort();
          break;
        }
      }
    }
  } catch {
    // The connection broke, which `end` says.
  }
  const endedAtMs = performance.now();
  const got = { requestId, status, events, usage, end, tookMs: endedAtMs - startedMs, endedAtMs };
  return { model, tokens, stream, leavesAfter, ...got };
}

interface Chunk {
  readonly error?: unknown;
  readonly usage?: Usage | null;
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
}

async function* dataOf(response: Response): AsyncIterable<string> {
  let text = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const events = text.split('\n\n');
    text = events.pop()!;
    for (const event of events) if (event.startsWith('data: ')) yield event.slice(6);
  }
}

const rowsOf = () => database.kysely.selectFrom('every_attempt').selectAll().orderBy('id').execute();
type Row = Awaited<ReturnType<typeof rowsOf>>[number];

function byRequest(rows: readonly Row[]): ReadonlyMap<string, readonly Row[]> {
  return Map.groupBy(rows, (row) => row.request_id);
}

/** Those of attempts that brought something. */
const answered = (rows: readonly Row[] = []) => rows.filter(({ outcome }) => !/failed|lost/.test(outcome));

/** What holds of every row, whatever happened. */
function expectPriced(rows: readonly Row[]): void {
  for (const row of rows) {
    const { prompt_tokens, cached_tokens, completion_tokens, cost_nano_usd, outcome } = row;
    expect(cost_nano_usd).toBe(
      (prompt_tokens - cached_tokens) * NANO_USD_PER_TOKEN.prompt +
        cached_tokens * NANO_USD_PER_TOKEN.cached +
        completion_tokens * NANO_USD_PER_TOKEN.completion,
    );
    if (/failed|lost/.test(outcome)) expect(cost_nano_usd).toBe(0);
  }
}

/** The ledger has what the client was told, or what it got where nobody told it. */
function expectAsReceived(received: Received, rows: readonly Row[] | undefined): void {
  const { model, events, usage, end, tokens, stream } = received;
  const [row, ...more] = answered(rows);
  expect(more).toEqual([]);
  if (model === 'failing') expect(row).toBeUndefined();
  if (end === 'whole') expect(row).toMatchObject({ outcome: 'delivered' });
  if (usage !== undefined)
    expect(row).toMatchObject({
      measured: LIARS.includes(model) ? 0 : 1,
      prompt_tokens: usage.prompt_tokens,
      cached_tokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
      completion_tokens: usage.completion_tokens,
    });
  else if (end === 'left') {
    // It was gone before the gateway could know.
    if (row !== undefined) expect(row.completion_tokens).toBeLessThanOrEqual(tokens);
    expect(row?.completion_tokens).toBeGreaterThanOrEqual(events);
  } else if (stream && events > 0) expect(row).toMatchObject({ measured: 0, completion_tokens: events });
  if (end === 'error' && row !== undefined) expect(row.outcome).toBe('aborted');
}

it('Σ ledger = Σ settled = metrics = what clients were told, over cuts, failures, retries and clients that leave', async () => {
  const gateway = await startGateway();
  const all: Received[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(ask, { minLength: 8, maxLength: 24 }), async (asks) => {
      const received = await Promise.all([...EACH, ...asks].map((one) => receive(gateway.url, one)));
      all.push(...received);
      await eventually(
        'all have ended',
        async () => (await metric(gateway.url, 'qianmen_requests_in_flight', secret)) === 0,
      );
      const last = await receive(gateway.url, EACH[0]!);
      received.push(last);
      all.push(last);
      await eventually('the ledger has the last of all', async () =>
        byRequest(await rowsOf()).has(last.requestId),
      );
      const rows = await rowsOf();
      expectPriced(rows);
      const found = byRequest(rows);
      for (const one of received) expectAsReceived(one, found.get(one.requestId));
      // Nobody else's.
      expect([...found.keys()].filter((id) => !all.some(({ requestId }) => requestId === id))).toEqual([]);
      expect(new Set(rows.map(({ outcome }) => outcome))).toEqual(
        new Set(['delivered', 'aborted', 'failed']),
      );
      const sum = rows.reduce((sum, { cost_nano_usd }) => sum + cost_nano_usd, 0);
      expect(await metric(gateway.url, 'qianmen_cost_nanousd_total', secret)).toBe(sum);
      const told = all.reduce((sum, { usage }) => sum + (usage?.completion_tokens ?? 0), 0);
      expect(rows.reduce((sum, row) => sum + row.completion_tokens, 0)).toBeGreaterThanOrEqual(told);
    }),
    { numRuns: 4, endOnFailure: true },
  );
}, 120_000);

it('loses nothing and charges nothing twice when gateways are killed again and again', async () => {
  const plan = fc.array(
    fc.record({
      asks: fc.array(ask, { minLength: 8, maxLength: 24 }),
      killAfterMs: fc.integer({ min: 20, max: 1_200 }),
    }),
    { minLength: 2, maxLength: 3 },
  );
  await fc.assert(
    fc.asyncProperty(plan, async (rounds) => {
      const all: (Received & { readonly killedAtMs: number })[] = [];
      for (const { asks, killAfterMs } of rounds) {
        const gateway = await startGateway();
        const running = asks.map((one) => receive(gateway.url, { ...one, tokens: one.tokens * 5 }));
        await sleep(killAfterMs);
        const killedAtMs = performance.now();
        await gateway.kill();
        gateways.delete(gateway);
        all.push(...(await Promise.all(running)).map((one) => ({ ...one, killedAtMs })));
      }
      const last = await startGateway();
      // Its own lock is all that is there once it has taken over what the others left.
      await eventually('the journals are in', isTakenOver);
      const rows = await rowsOf();
      expectPriced(rows);
      const found = byRequest(rows);
      for (const one of all) {
        // The client may have seen the end in the millisecond in which the gateway was killed. That a client has left a gateway hears
        // later, if it has just begun; until then it counts as running, of which the last fifth of a second may be missing.
        const isWrittenMs = one.end === 'left' ? 250 : 20;
        if (one.end !== 'broken-off' && one.endedAtMs < one.killedAtMs - isWrittenMs)
          expectAsReceived(one, found.get(one.requestId));
        if (one.end !== 'broken-off') continue;
        const [row, ...more] = answered(found.get(one.requestId));
        expect(more).toEqual([]);
        // Written down every half a second; nobody is charged for more than was on its way.
        if (one.events > 0 && one.tookMs > 1_000) expect(row?.completion_tokens).toBeGreaterThan(0);
        if (row?.outcome === 'interrupted')
          expect(row.completion_tokens).toBeLessThanOrEqual(one.events + 20);
      }
      // A second look finds nothing new.
      await last.kill();
      gateways.delete(last);
      const again = await startGateway();
      await eventually('it has looked', isTakenOver);
      expect(await rowsOf()).toEqual(rows);
      await again.kill();
      gateways.delete(again);
    }),
    { numRuns: 2, endOnFailure: true },
  );
}, 240_000);

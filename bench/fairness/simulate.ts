/**
 * What a loud neighbour does to the others, in simulated time: the real gateway in front of modelled servers.
 *
 *   node bench/fairness/simulate.ts [--seconds 60] [--seed 1] [--seeds 8] [--only NAME] [--order NAME] [--compare] [--trace all|quiet]
 *
 * Quiet tenants send at random times, and one that sends a hundred times as much as each: after a while, soon, from the beginning, or
 * before them. Prints by how much the quiet ones' 95th percentile of the time to first token (or to the whole reply, where it is not
 * streamed) is above what it is in a run without the loud one, at once and later, and what all got done; with `--compare` against what gets
 * done where all are one tenant.
 */
import { parseArgs } from 'node:util';
import { leastInFlight } from '../../routers/least-in-flight.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { Caller } from '../../src/core/caller.ts';
import { AppError } from '../../src/core/error.ts';
import type { Part } from '../../src/core/part.ts';
import type { GenerateRequest } from '../../src/core/request.ts';
import { Gateway, type Reply } from '../../src/gateway/gateway.ts';
import { seededRandom } from '../../src/simulation/random.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import type { ServerModel } from './server-model.ts';
import { VirtualTime } from './virtual-time.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    order: { type: 'string' },
    seeds: { type: 'string', default: '8' },
    compare: { type: 'boolean', default: false },
    trace: { type: 'string' },
  },
});
const bothMs = Number(values.seconds) * 1_000;
/** After all are there: what is learnt of the loud one is learnt then. */
const FIRST_MS = 5_000;
/** Until the last ones are answered. */
const DRAIN_MS = 15_000;

/** Who was refused comes back after so long. */
const BACK_AFTER_MS = 100;
/** Clients do not begin in the same instant. */
const APART_MS = 3;

/** Who is there so much before the others. */
const ORDERS = [
  { name: 'quiet for a minute', quietMs: 60_000, loudMs: 0 },
  { name: 'quiet for 2 s', quietMs: 2_000, loudMs: 0 },
  { name: 'all at once', quietMs: 0, loudMs: 0 },
  { name: 'loud for 20 s', quietMs: 0, loudMs: 20_000 },
] as const;

function callerOf(projectId: string, weight: number, organizationId: string): Caller {
  return {
    keyId: projectId,
    projectId,
    organizationId,
    role: 'user',
    weight,
    priority: 0,
    demands: {},
    limits: { key: {}, project: {}, organization: {} },
  };
}

function requestOf({ promptTokens, outputTokens, whole }: Scenario): GenerateRequest {
  return {
    id: 'r',
    endpoint: 'chat',
    model: 'm',
    prompts: [{ kind: 'chat', messages: [] }],
    n: 1,
    stream: whole !== true,
    stop: { maxTokens: outputTokens },
    requirements: [],
    wire: { dialect: 'openai', path: '/chat/completions', body: Buffer.alloc(promptTokens * 4) },
  } as unknown as GenerateRequest;
}

/** What became of a request. */
interface Outcome {
  readonly loud: boolean;
  readonly askedAtMs: number;
  /** Undefined: it was refused. */
  ttftMs?: number;
  doneAtMs?: number;
}

type Order = (typeof ORDERS)[number];
type Who = 'all' | 'all as one' | 'quiet';

async function simulate(
  scenario: Scenario,
  order: Order,
  who: Who,
  seed: number,
): Promise<readonly Outcome[]> {
  const time = new VirtualTime();
  const restore = time.take();
  const gateway = gatewayOver(scenario, time, seed);
  const outcomes: Outcome[] = [];
  const { tenants, times, weight = 1, together, inTurn } = { tenants: 1, times: 100, ...scenario.loud };
  const ask = async (tenant: string) => {
    const loud = tenant.startsWith('loud');
    const outcome: Outcome = { loud, askedAtMs: time.now() };
    outcomes.push(outcome);
    const deliver = async (reply: Reply) => {
      if (reply.kind !== 'parts') return;
      for await (const part of reply.parts)
        if (part.type === 'text-delta' && scenario.whole !== true)
          outcome.ttftMs ??= time.now() - outcome.askedAtMs;
    };
    const organizationId = loud && together ? 'loud' : 'all';
    const caller = callerOf(tenant, loud ? weight : 1, organizationId);
    const terms = who === 'all as one' ? {} : { caller };
    try {
      await gateway.handle(requestOf(scenario), new AbortController().signal, deliver, terms);
      outcome.doneAtMs = time.now();
      outcome.ttftMs ??= time.now() - outcome.askedAtMs;
      return true;
    } catch {
      // Refused, which is seen by there being no end.
      return false;
    }
  };
  const untilMs = order.quietMs + order.loudMs + bothMs;
  /** @param tenants They take turns. */
  const source = (tenants: readonly string[], perSecond: number, fromMs: number, ofItsOwn: number) => {
    const random = seededRandom(seed * 1_000 + ofItsOwn);
    let sent = 0;
    const next = () => {
      time.after((-Math.log(1 - random()) / perSecond) * 1_000, () => {
        if (time.now() > untilMs) return;
        void ask(tenants[sent++ % tenants.length]!);
        next();
      });
    };
    time.after(fromMs, next);
  };
  const client = (tenant: string, fromMs: number) => {
    const next = async (): Promise<void> => {
      if (time.now() > untilMs) return;
      if (!(await ask(tenant))) await time.sleep(BACK_AFTER_MS);
      return next();
    };
    time.after(fromMs, next);
  };
  for (let i = 0; i < scenario.quietTenants; i += 1)
    if (scenario.closed) client(`quiet${i}`, order.loudMs + i * APART_MS);
    else source([`quiet${i}`], scenario.quietPerSecond, order.loudMs, i);
  const loud = Array.from({ length: who === 'quiet' ? 0 : tenants }, (_, i) => `loud${i}`);
  const sources = inTurn === true && loud.length > 0 ? [loud] : loud.map((tenant) => [tenant]);
  for (const [i, some] of sources.entries())
    if (scenario.closed)
      for (let n = 0; n < times / tenants; n += 1) client(some[0]!, order.quietMs + n * APART_MS);
    else source(some, (times / sources.length) * scenario.quietPerSecond, order.quietMs, 100 + i);
  if (values.trace === who) trace(gateway, time);
  await time.run(untilMs + DRAIN_MS);
  restore();
  return outcomes;
}

function gatewayOver(scenario: Scenario, time: VirtualTime, seed: number): Gateway {
  const random = seededRandom(seed);
  const deployments = Array.from({ length: scenario.servers ?? 1 }, (_, i) => {
    const backend = backendOf(scenario, scenario.server(time, random), `b${i}`);
    return {
      ...{ id: `b${i}/m`, backend, model: 'm', region: undefined, privacy: 'local' as const },
      ...{ price: undefined, contextTokens: undefined },
    };
  });
  const model = { name: 'm', deployments, createdAtS: 0 };
  return new Gateway({
    routes: new Map([['m', { model, policy: leastInFlight() }]]),
    ...{ emit: () => {}, maxRetries: 2, now: time.now, random },
  });
}

function backendOf(
  { promptTokens, outputTokens, concurrency, whole }: Scenario,
  server: ServerModel,
  name: string,
): Backend {
  return {
    name,
    kind: 'upstream',
    concurrency: concurrency ?? { initial: 256, max: 512 },
    lacks: () => undefined,
    health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
    close: async () => {},
    run: () =>
      new Promise((resolve, reject) => {
        if (server.refuses) {
          reject(new AppError('upstream_unreachable'));
          return;
        }
        let wake = () => {};
        let ready = 0;
        async function* parts(): AsyncIterable<Part> {
          for (let sent = 0; sent < outputTokens; sent += 1) {
            while (ready <= sent)
              await new Promise<void>((go) => {
                wake = go;
              });
            yield { type: 'text-delta', index: 0, text: 'w', tokens: 1 } as Part;
          }
          yield { type: 'finish', index: 0, reason: 'stop' };
          const counted = { promptTokens, completionTokens: outputTokens };
          yield { type: 'usage', usage: { ...counted, cachedPromptTokens: 0, reasoningTokens: 0 } };
        }
        server.run(promptTokens, outputTokens, () => {
          ready += 1;
          if (ready === (whole === true ? outputTokens : 1)) resolve(parts());
          wake();
        });
      }),
  };
}

function trace(gateway: Gateway, time: VirtualTime): void {
  const look = () => {
    const { backends, models } = gateway.report();
    const { queued } = models[0]!;
    console.log(
      Math.round(time.now()),
      ...backends.map(({ inFlight, limit, held }) => ({ inFlight, limit, held })),
      { queued },
    );
    time.after(bothMs / 120, look);
  };
  look();
}

const quantile = (all: readonly number[], q: number) =>
  [...all].sort((a, b) => a - b)[Math.floor(all.length * q)] ?? Number.NaN;

/** Of the quiet ones, over all seeds, in a time. */
function p95(runs: readonly (readonly Outcome[])[], fromMs: number, toMs: number): number {
  const within = runs
    .flat()
    .filter(({ loud, askedAtMs }) => !loud && askedAtMs >= fromMs && askedAtMs < toMs);
  // One that was refused, or still waits, is later than all.
  return quantile(
    within.map(({ ttftMs = Number.POSITIVE_INFINITY }) => ttftMs),
    0.95,
  );
}

/** Of all, while all are there. */
function donePerSecond(runs: readonly (readonly Outcome[])[], fromMs: number): number {
  const done = runs.flat().filter(({ doneAtMs = 0 }) => doneAtMs > fromMs && doneAtMs < fromMs + bothMs);
  return done.length / runs.length / (bothMs / 1_000);
}

console.log(
  `scenario | order | quiet p95 alone, first ${FIRST_MS / 1_000} s beside, then (ms) | ratios: all the time, first, then | done per s | of first come, first served`,
);
const named = (name: string, part: string | undefined) => part === undefined || name.includes(part);
for (const scenario of SCENARIOS.filter(({ name }) => named(name, values.only)))
  for (const order of ORDERS.filter(({ name }) => named(name, values.order))) {
    const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => Number(values.seed) + i);
    const [all, alone, plain]: (readonly Outcome[])[][] = [[], [], []];
    for (const seed of seeds) {
      all!.push(await simulate(scenario, order, 'all', seed));
      alone!.push(await simulate(scenario, order, 'quiet', seed));
      if (values.compare) plain!.push(await simulate(scenario, order, 'all as one', seed));
    }
    const fromMs = order.quietMs + order.loudMs;
    const thenMs = fromMs + FIRST_MS;
    const usual = p95(alone!, fromMs, Number.POSITIVE_INFINITY);
    const first = p95(all!, fromMs, thenMs);
    const then = p95(all!, thenMs, Number.POSITIVE_INFINITY);
    const whole = p95(all!, fromMs, Number.POSITIVE_INFINITY);
    const perSecond = donePerSecond(all!, fromMs);
    const share = values.compare ? (perSecond / donePerSecond(plain!, fromMs)).toFixed(2) : '-';
    console.log(
      `${scenario.name} | ${order.name} | ${[usual, first, then].map((ms) => ms.toFixed(0)).join(' → ')} | ` +
        `${[whole, first, then].map((ms) => (ms / usual).toFixed(2)).join(', ')} | ${perSecond.toFixed(1)} | ${share}`,
    );
  }

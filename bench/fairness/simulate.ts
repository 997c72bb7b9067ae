/**
 * What a loud neighbour does to the others, in simulated time: the real gateway in front of a modelled server.
 *
 *   node bench/fairness/simulate.ts [--seconds 60] [--seed 1] [--seeds 8] [--only NAME] [--compare] [--trace]
 *
 * Quiet tenants send at random times; then one comes that sends a hundred times as much as each. Prints by how much the quiet ones' 95th percentile of
 * the time to first token rose, at once and later, and what all got done; with `--compare` against what gets done where all are one tenant.
 */
import { parseArgs } from 'node:util';
import { leastInFlight } from '../../routers/least-in-flight.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { Caller } from '../../src/core/caller.ts';
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
    seeds: { type: 'string', default: '8' },
    compare: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
});
const phaseMs = Number(values.seconds) * 1_000;
/** After the loud ones came: what is learnt of them is learnt then. */
const FIRST_MS = 5_000;

function callerOf(projectId: string): Caller {
  return {
    keyId: projectId,
    projectId,
    organizationId: 'o',
    role: 'user',
    weight: 1,
    priority: 0,
    demands: {},
    limits: { key: {}, project: {}, organization: {} },
  };
}

function requestOf({ promptTokens, outputTokens }: Scenario): GenerateRequest {
  return {
    id: 'r',
    endpoint: 'chat',
    model: 'm',
    prompts: [{ kind: 'chat', messages: [] }],
    n: 1,
    stream: true,
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

/** Quiet tenants alone until `phaseMs`, then beside the loud ones for as long, then alone again. */
async function simulate(scenario: Scenario, fair: boolean, seed: number): Promise<readonly Outcome[]> {
  const time = new VirtualTime();
  const random = seededRandom(seed);
  const gateway = gatewayOver(scenario, time, random);
  const outcomes: Outcome[] = [];
  const ask = async (tenant: string) => {
    const outcome: Outcome = { loud: tenant.startsWith('loud'), askedAtMs: time.now() };
    outcomes.push(outcome);
    const deliver = async (reply: Reply) => {
      if (reply.kind !== 'parts') return;
      for await (const part of reply.parts)
        if (part.type === 'text-delta') outcome.ttftMs ??= time.now() - outcome.askedAtMs;
    };
    const terms = fair ? { caller: callerOf(tenant) } : {};
    try {
      await gateway.handle(requestOf(scenario), new AbortController().signal, deliver, terms);
      outcome.doneAtMs = time.now();
    } catch {
      // Refused, which is seen by there being no end.
    }
  };
  const source = (tenant: string, perSecond: number, fromMs: number, untilMs: number) => {
    const next = () => {
      time.after((-Math.log(1 - random()) / perSecond) * 1_000, () => {
        if (time.now() > untilMs) return;
        void ask(tenant);
        next();
      });
    };
    time.after(fromMs, next);
  };
  for (let i = 0; i < scenario.quietTenants; i += 1)
    source(`quiet${i}`, scenario.quietPerSecond, 0, 3 * phaseMs);
  const { tenants, times } = scenario.loud ?? { tenants: 1, times: 100 };
  for (let i = 0; i < tenants; i += 1)
    source(`loud${i}`, (times / tenants) * scenario.quietPerSecond, phaseMs, 2 * phaseMs);
  if (values.trace) trace(gateway, time);
  await time.run(3 * phaseMs);
  return outcomes;
}

function gatewayOver(scenario: Scenario, time: VirtualTime, random: () => number): Gateway {
  const backend = backendOf(scenario, scenario.server(time, random));
  const deployment = {
    ...{ id: 'b/m', backend, model: 'm', region: undefined, privacy: 'local' as const },
    ...{ price: undefined, contextTokens: undefined },
  };
  const model = { name: 'm', deployments: [deployment], createdAtS: 0 };
  return new Gateway({
    routes: new Map([['m', { model, policy: leastInFlight() }]]),
    ...{ emit: () => {}, maxRetries: 0, now: time.now, random },
  });
}

function backendOf({ promptTokens, outputTokens, concurrency }: Scenario, server: ServerModel): Backend {
  return {
    name: 'b',
    kind: 'upstream',
    concurrency: concurrency ?? { initial: 256, max: 512 },
    lacks: () => undefined,
    health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
    close: async () => {},
    run: () =>
      new Promise((resolve) => {
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
          if (ready === 1) resolve(parts());
          wake();
        });
      }),
  };
}

function trace(gateway: Gateway, time: VirtualTime): void {
  const look = () => {
    const { backends, models } = gateway.report();
    const { inFlight, limit, held } = backends[0]!;
    const { queued } = models[0]!;
    console.log(Math.round(time.now()), { inFlight, limit, held, queued });
    time.after(phaseMs / 60, look);
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

/** Of all, while the loud ones were there. */
function donePerSecond(runs: readonly (readonly Outcome[])[]): number {
  const done = runs
    .flat()
    .filter(({ doneAtMs }) => doneAtMs !== undefined && doneAtMs > phaseMs && doneAtMs < 2 * phaseMs);
  return done.length / runs.length / (phaseMs / 1_000);
}

console.log(
  `scenario | quiet p95 TTFT alone, first ${FIRST_MS / 1_000} s beside, then, alone again (ms) | ratios | done per s | of first come, first served`,
);
for (const scenario of SCENARIOS.filter(
  ({ name }) => values.only === undefined || name.includes(values.only),
)) {
  const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => Number(values.seed) + i);
  const runs: (readonly Outcome[])[] = [];
  const plain: (readonly Outcome[])[] = [];
  for (const seed of seeds) {
    runs.push(await simulate(scenario, true, seed));
    if (values.compare) plain.push(await simulate(scenario, false, seed));
  }
  const [alone, first, then, after] = [
    p95(runs, 0, phaseMs),
    p95(runs, phaseMs, phaseMs + FIRST_MS),
    p95(runs, phaseMs + FIRST_MS, 2 * phaseMs),
    p95(runs, 2 * phaseMs + FIRST_MS, 3 * phaseMs),
  ];
  const perSecond = donePerSecond(runs);
  const share = values.compare ? (perSecond / donePerSecond(plain)).toFixed(2) : '-';
  console.log(
    `${scenario.name} | ${[alone, first, then, after].map((ms) => ms.toFixed(0)).join(' → ')} | ` +
      `${(first / alone).toFixed(2)}, ${(then / alone).toFixed(2)}, ${(after / alone).toFixed(2)} | ${perSecond.toFixed(1)} | ${share}`,
  );
}

/**
 * What a loud neighbour does to the others, in simulated time: the real gateway in front of a modelled server.
 *
 *   node bench/fairness/simulate.ts [--seconds 60] [--seed 1] [--trace]
 *
 * Quiet tenants send at random times; then one comes that sends a hundred times as much as each. Prints by how much the quiet ones' 95th percentile of
 * the time to first token rose, and what all got done, with tenants told apart (`fair`) and all as one tenant (`first come`).
 */
import { parseArgs } from 'node:util';
import { leastInFlight } from '../../routers/least-in-flight.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { Caller } from '../../src/core/caller.ts';
import type { Part } from '../../src/core/part.ts';
import type { GenerateRequest } from '../../src/core/request.ts';
import { Gateway } from '../../src/gateway/gateway.ts';
import { seededRandom } from '../../src/simulation/random.ts';
import { ContinuousBatching, Places, type ServerModel } from './server-model.ts';
import { VirtualTime } from './virtual-time.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    fcfs: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
});
const phaseMs = Number(values.seconds) * 1_000;

interface Scenario {
  readonly name: string;
  readonly server: (time: VirtualTime, random: () => number) => ServerModel;
  readonly concurrency?: { readonly initial: number; readonly max: number };
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly quietTenants: number;
  /** Of each. The loud one sends a hundred times as many. */
  readonly quietPerSecond: number;
  /** All of them, against a quiet one. Default: one, a hundred times. */
  readonly loud?: { readonly tenants: number; readonly times: number };
}

const fake8 = { places: 8, ttftMs: 80, itlMs: 20, jitter: 0.1 };
const SCENARIOS: readonly Scenario[] = [
  {
    name: '8 places',
    server: (t, r) => new Places(t, r, fake8),
    promptTokens: 20,
    outputTokens: 7,
    quietTenants: 1,
    quietPerSecond: 1.6,
  },
  {
    name: '8 places, known',
    server: (t, r) => new Places(t, r, fake8),
    concurrency: { initial: 8, max: 8 },
    promptTokens: 20,
    outputTokens: 7,
    quietTenants: 1,
    quietPerSecond: 1.6,
  },
  {
    name: '8 places, four quiet',
    server: (t, r) => new Places(t, r, fake8),
    promptTokens: 20,
    outputTokens: 7,
    quietTenants: 4,
    quietPerSecond: 1.6,
  },
  {
    name: '64 places, long replies',
    server: (t, r) => new Places(t, r, { places: 64, ttftMs: 200, itlMs: 30, jitter: 0.3 }),
    promptTokens: 200,
    outputTokens: 100,
    quietTenants: 4,
    quietPerSecond: 0.5,
  },
  {
    name: '16 places, fast',
    server: (t, r) => new Places(t, r, { places: 16, ttftMs: 20, itlMs: 5, jitter: 0.3 }),
    promptTokens: 20,
    outputTokens: 10,
    quietTenants: 2,
    quietPerSecond: 10,
  },
  {
    name: 'batching, 64 sequences',
    server: (t) =>
      new ContinuousBatching(t, {
        sequences: 64,
        stepTokens: 2048,
        stepMs: 12,
        perSequenceMs: 0.15,
        perPromptTokenMs: 0.05,
      }),
    promptTokens: 500,
    outputTokens: 120,
    quietTenants: 4,
    quietPerSecond: 0.5,
  },
  {
    name: 'batching, 256 sequences',
    server: (t) =>
      new ContinuousBatching(t, {
        sequences: 256,
        stepTokens: 2048,
        stepMs: 12,
        perSequenceMs: 0.1,
        perPromptTokenMs: 0.03,
      }),
    promptTokens: 300,
    outputTokens: 200,
    quietTenants: 4,
    quietPerSecond: 0.5,
  },
  {
    name: 'surge of four, batching',
    server: (t) =>
      new ContinuousBatching(t, {
        sequences: 64,
        stepTokens: 2048,
        stepMs: 12,
        perSequenceMs: 0.15,
        perPromptTokenMs: 0.05,
      }),
    promptTokens: 500,
    outputTokens: 120,
    quietTenants: 0,
    quietPerSecond: 0.5,
    loud: { tenants: 4, times: 100 },
  },
  {
    name: 'surge of four, 8 places',
    server: (t, r) => new Places(t, r, fake8),
    promptTokens: 20,
    outputTokens: 7,
    quietTenants: 0,
    quietPerSecond: 1.6,
    loud: { tenants: 4, times: 100 },
  },
];

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

interface Result {
  readonly quietMs: number[];
  quietRefused: number;
  loudDone: number;
  quietDone: number;
  loudRefused: number;
}

async function simulate(scenario: Scenario, fair: boolean) {
  const time = new VirtualTime();
  const random = seededRandom(Number(values.seed));
  const server = scenario.server(time, random);
  const backend: Backend = {
    name: 'b',
    kind: 'upstream',
    concurrency: scenario.concurrency ?? { initial: 256, max: 512 },
    lacks: () => undefined,
    health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
    close: async () => {},
    run: (request) =>
      new Promise((resolve) => {
        const { promptTokens, outputTokens } = scenario;
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
          yield {
            type: 'usage',
            usage: {
              promptTokens,
              completionTokens: outputTokens,
              cachedPromptTokens: 0,
              reasoningTokens: 0,
            },
          };
        }
        void request;
        server.run(promptTokens, outputTokens, () => {
          ready += 1;
          if (ready === 1) resolve(parts());
          wake();
        });
      }),
  };
  const deployment = {
    id: 'b/m',
    backend,
    model: 'm',
    region: undefined,
    privacy: 'local' as const,
    price: undefined,
    contextTokens: undefined,
  };
  const gateway = new Gateway({
    routes: new Map([
      ['m', { model: { name: 'm', deployments: [deployment], createdAtS: 0 }, policy: leastInFlight() }],
    ]),
    emit: () => {},
    maxRetries: 0,
    now: time.now,
    random,
  });
  const phases: Result[] = [0, 1, 2].map(() => ({
    quietMs: [],
    quietRefused: 0,
    loudDone: 0,
    quietDone: 0,
    loudRefused: 0,
  }));
  const ask = async (tenant: string) => {
    const phase = phases[Math.min(2, Math.floor(time.now() / phaseMs))]!;
    const loud = tenant.startsWith('loud');
    const askedAtMs = time.now();
    try {
      await gateway.handle(
        requestOf(scenario),
        new AbortController().signal,
        async (reply) => {
          if (reply.kind !== 'parts') return;
          let first = true;
          for await (const part of reply.parts) {
            if (first && part.type === 'text-delta') {
              first = false;
              if (!loud) phase.quietMs.push(time.now() - askedAtMs);
            }
          }
        },
        fair ? { caller: callerOf(tenant) } : {},
      );
      const ended = phases[Math.min(2, Math.floor(time.now() / phaseMs))]!;
      if (loud) ended.loudDone += 1;
      else ended.quietDone += 1;
    } catch {
      if (loud) phase.loudRefused += 1;
      else phase.quietRefused += 1;
    }
  };
  const source = (tenant: string, perSecond: number, fromMs: number, toMs: number) => {
    const next = () => {
      const waitMs = (-Math.log(1 - random()) / perSecond) * 1_000;
      time.after(waitMs, () => {
        if (time.now() > toMs) return;
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
    source(`loud${i}`, (times / tenants) * scenario.quietPerSecond, phaseMs, 3 * phaseMs);
  if (values.trace) {
    const look = () => {
      const {
        backends: [one],
        models: [model],
      } = gateway.report();
      console.log(
        Math.round(time.now()),
        'in flight',
        one!.inFlight,
        'limit',
        one!.limit,
        'held',
        one!.held,
        'queued',
        model!.queued,
      );
      time.after(phaseMs / 30, look);
    };
    look();
  }
  await time.run(3 * phaseMs);
  return phases;
}

const quantile = (all: readonly number[], q: number) =>
  [...all].sort((a, b) => a - b)[Math.floor(all.length * q)] ?? Number.NaN;

console.log(
  'scenario | policy | quiet p95 alone → loud comes → goes on (ms) | ratio | done per s (quiet alone, loud) | refused quiet/loud',
);
for (const scenario of SCENARIOS.filter(
  ({ name }) => values.only === undefined || name.includes(values.only),
))
  for (const fair of values.fcfs ? [true, false] : [true]) {
    const [alone, coming, going] = await simulate(scenario, fair);
    const p95 = [alone, coming, going].map((phase) => quantile(phase!.quietMs, 0.95));
    const perS = (count: number) => ((count / phaseMs) * 1_000).toFixed(1);
    console.log(
      `${scenario.name} | ${fair ? 'fair' : 'first come'} | ${p95.map((ms) => ms.toFixed(0)).join(' → ')} | ${(p95[1]! / p95[0]!).toFixed(2)}, ${(p95[2]! / p95[0]!).toFixed(2)} | ` +
        `${perS(coming!.loudDone + coming!.quietDone)}, ${perS(going!.loudDone + going!.quietDone)} | ${coming!.quietRefused + going!.quietRefused}/${coming!.loudRefused + going!.loudRefused}`,
    );
  }

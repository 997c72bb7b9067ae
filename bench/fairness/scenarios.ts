import {
  type Clock,
  ContinuousBatching,
  Hiccups,
  NoLine,
  Places,
  PromptsFirst,
  type ServerModel,
} from './server-model.ts';

export interface Scenario {
  readonly name: string;
  readonly server: (time: Clock, random: () => number) => ServerModel;
  readonly concurrency?: { readonly initial: number; readonly max: number };
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly quietTenants: number;
  /** Of each. The loud one sends a hundred times as many. */
  readonly quietPerSecond: number;
  /** All of them, against a quiet one. Default: one, a hundred times, with the same weight. */
  readonly loud?: {
    readonly tenants: number;
    readonly times: number;
    readonly weight?: number;
    /** They are projects of one organization, the quiet ones of another. Default: all are of one. */
    readonly together?: boolean;
    /** They send one after the other, as programs do that have several keys. Default: each as it likes. */
    readonly inTurn?: boolean;
  };
  /** Replies are not streamed. */
  readonly whole?: boolean;
  /** That serve the model. Default: one. */
  readonly servers?: number;
  /** Each of the quiet ones asks again as soon as it has its reply, and the loud one does so a hundred times at once. */
  readonly closed?: boolean;
}

const places = (n: number, ttftMs: number, itlMs: number): Scenario['server'] => {
  return (t, r) => new Places(t, r, { places: n, ttftMs, itlMs, jitter: 0.05 });
};

const batching64: Scenario['server'] = (t) =>
  new ContinuousBatching(t, {
    sequences: 64,
    stepTokens: 2048,
    stepMs: 12,
    perSequenceMs: 0.15,
    perPromptTokenMs: 0.05,
  });

/** As somebody who knows nothing of this gateway would write them. */
const PLAIN: readonly Scenario[] = [
  {
    name: '4 places of 100 ms',
    server: places(4, 20, 8),
    outputTokens: 11,
    quietTenants: 2,
    quietPerSecond: 2,
  },
  {
    name: '4 places of 300 ms',
    server: places(4, 100, 20),
    outputTokens: 11,
    quietTenants: 2,
    quietPerSecond: 0.5,
  },
  {
    name: '8 places of 300 ms, one quiet',
    server: places(8, 100, 25),
    outputTokens: 9,
    quietTenants: 1,
    quietPerSecond: 0.8,
  },
  {
    name: '4 places of 10 s',
    server: places(4, 2_000, 100),
    outputTokens: 81,
    quietTenants: 2,
    quietPerSecond: 0.03,
  },
  {
    name: '4 places of 2 s',
    server: places(4, 200, 45),
    outputTokens: 41,
    quietTenants: 1,
    quietPerSecond: 0.3,
  },
  {
    name: '8 places of 1 s',
    server: places(8, 150, 17),
    outputTokens: 51,
    quietTenants: 3,
    quietPerSecond: 0.4,
  },
  {
    name: '16 places of 2 s',
    server: places(16, 300, 34),
    outputTokens: 51,
    quietTenants: 3,
    quietPerSecond: 0.4,
  },
  {
    name: '8 places, always one each',
    server: places(8, 50, 10),
    outputTokens: 51,
    quietTenants: 2,
    quietPerSecond: 1,
    closed: true,
  },
].map((scenario) => ({ promptTokens: 20, ...scenario }));

const fake8 = { places: 8, ttftMs: 80, itlMs: 20, jitter: 0.1 };
export const SCENARIOS: readonly Scenario[] = [
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
    server: batching64,
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
    name: 'slow batching, 64 sequences',
    server: (t) =>
      new ContinuousBatching(t, {
        sequences: 64,
        stepTokens: 2048,
        stepMs: 20,
        perSequenceMs: 0.25,
        perPromptTokenMs: 0.1,
      }),
    promptTokens: 100,
    outputTokens: 60,
    quietTenants: 3,
    quietPerSecond: 0.8,
  },
  {
    name: 'prompts first, 64 sequences',
    server: (t) =>
      new PromptsFirst(t, {
        sequences: 64,
        stepMs: 15,
        perSequenceMs: 0.3,
        perPromptTokenMs: 0.1,
      }),
    promptTokens: 300,
    outputTokens: 60,
    quietTenants: 3,
    quietPerSecond: 1,
  },
  {
    name: '16 places, whole replies',
    server: (t, r) => new Places(t, r, { places: 16, ttftMs: 200, itlMs: 30, jitter: 0.02 }),
    promptTokens: 20,
    outputTokens: 11,
    quietTenants: 3,
    quietPerSecond: 1.6,
    whole: true,
  },
  {
    name: '16 places, loud has weight 4',
    server: (t, r) => new Places(t, r, { places: 16, ttftMs: 200, itlMs: 30, jitter: 0.02 }),
    promptTokens: 20,
    outputTokens: 11,
    quietTenants: 3,
    quietPerSecond: 1.6,
    loud: { tenants: 1, times: 100, weight: 4 },
  },
  {
    name: '16 places, exact',
    server: (t, r) => new Places(t, r, { places: 16, ttftMs: 200, itlMs: 30, jitter: 0 }),
    promptTokens: 20,
    outputTokens: 11,
    quietTenants: 3,
    quietPerSecond: 1.6,
  },
  {
    name: 'batching, whole replies',
    server: batching64,
    promptTokens: 500,
    outputTokens: 60,
    quietTenants: 4,
    quietPerSecond: 0.5,
    whole: true,
  },
  {
    name: 'three servers of 8 places',
    server: (t, r) => new Places(t, r, fake8),
    promptTokens: 20,
    outputTokens: 7,
    quietTenants: 3,
    quietPerSecond: 1.6,
    servers: 3,
  },
  {
    name: 'surge of four, batching',
    server: batching64,
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
  {
    name: '16 places, three loud',
    server: places(16, 200, 30),
    promptTokens: 20,
    outputTokens: 11,
    quietTenants: 2,
    quietPerSecond: 1.6,
    loud: { tenants: 3, times: 100 },
  },
  {
    name: '16 places, ten loud',
    server: places(16, 200, 30),
    promptTokens: 20,
    outputTokens: 11,
    quietTenants: 2,
    quietPerSecond: 1.6,
    loud: { tenants: 10, times: 100 },
  },
  {
    name: 'batching, ten loud',
    server: batching64,
    promptTokens: 500,
    outputTokens: 120,
    quietTenants: 4,
    quietPerSecond: 0.5,
    loud: { tenants: 10, times: 100 },
  },
  {
    name: '8 places, forty projects of one',
    server: (t, r) => new Places(t, r, fake8),
    promptTokens: 20,
    outputTokens: 7,
    quietTenants: 2,
    quietPerSecond: 1.6,
    loud: { tenants: 40, times: 100, weight: 1 / 40, together: true },
  },
  {
    name: '16 places, forty projects of one, a client each',
    server: places(16, 200, 30),
    promptTokens: 20,
    outputTokens: 11,
    quietTenants: 2,
    quietPerSecond: 1.6,
    closed: true,
    loud: { tenants: 40, times: 40, weight: 1 / 40, together: true },
  },
  {
    name: '16 places without a line',
    server: (t, r) => new NoLine(t, r, { places: 16, ttftMs: 100, itlMs: 20, jitter: 0.05 }),
    promptTokens: 20,
    outputTokens: 10,
    quietTenants: 3,
    quietPerSecond: 1,
  },
  {
    name: '16 places, twenty loud',
    server: places(16, 100, 20),
    promptTokens: 20,
    outputTokens: 10,
    quietTenants: 3,
    quietPerSecond: 1,
    loud: { tenants: 20, times: 100 },
  },
  {
    name: '16 places, twenty projects of one',
    server: places(16, 100, 20),
    promptTokens: 20,
    outputTokens: 10,
    quietTenants: 3,
    quietPerSecond: 1,
    loud: { tenants: 20, times: 100, together: true, inTurn: true },
  },
  {
    name: '16 places, too many alike',
    server: places(16, 100, 20),
    promptTokens: 20,
    outputTokens: 10,
    quietTenants: 3,
    quietPerSecond: 1,
    loud: { tenants: 40, times: 80 },
  },
  {
    name: 'batching, one loud and many others',
    server: batching64,
    promptTokens: 500,
    outputTokens: 120,
    quietTenants: 20,
    quietPerSecond: 0.4,
  },
  {
    name: 'busy machine, 16 places',
    server: (t, r) => new Hiccups(t, r, places(16, 100, 20)(t, r), { everyMs: 1_000, forMs: 40 }),
    promptTokens: 20,
    outputTokens: 10,
    quietTenants: 3,
    quietPerSecond: 1,
  },
  {
    name: 'busy machine, batching',
    server: (t, r) => new Hiccups(t, r, batching64(t, r), { everyMs: 1_000, forMs: 40 }),
    promptTokens: 400,
    outputTokens: 60,
    quietTenants: 3,
    quietPerSecond: 1,
  },
  ...PLAIN,
];

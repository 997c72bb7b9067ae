import { beforeEach, describe, expect, test } from 'vitest';
import { type EngineConfig, engine } from '../../config/engine.ts';
import { FakeClock } from '../../test/engine/fake-clock.ts';
import type { BackendHealth } from '../core/backend.ts';
import type { GatewayEvent, LocalModelChanged } from '../core/event.ts';
import type { Engine, EngineFacts } from './engine-facts.ts';
import { LocalModel } from './local-model.ts';
import { MemoryBudget, type Resident } from './memory-budget.ts';

class FakeEngine implements Engine {
  readonly pid = undefined;
  readonly readySinceMs = undefined;
  readonly ready: Promise<void>;
  readonly limitBytes: () => number;
  state: BackendHealth['state'] = 'starting';
  inFlight = 0;
  closed = false;
  #settle = { resolve: () => {}, reject: (_: Error) => {} };

  constructor(limitBytes: () => number) {
    this.limitBytes = limitBytes;
    this.ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.ready.catch(() => {});
  }

  loaded(): void {
    this.state = 'ready';
    this.#settle.resolve();
  }

  fail(): void {
    this.state = 'down';
    this.#settle.reject(new Error('no such luck'));
  }

  info(): EngineFacts | undefined {
    if (this.state !== 'ready') return undefined;
    return { architecture: 'llama', contextTokens: 64, threads: 1, rssBytes: 100, kvBytes: 50 };
  }

  health(): BackendHealth {
    return { state: this.state, detail: this.state, inFlight: this.inFlight, queued: 0, retryAfterMs: 700 };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#settle.reject(new Error('closed'));
  }
}

let clock: FakeClock;
let engines: FakeEngine[];
let events: LocalModelChanged[];
let doubts: GatewayEvent[];
let budget: MemoryBudget;

beforeEach(() => {
  clock = new FakeClock();
  engines = [];
  events = [];
  doubts = [];
  budget = new MemoryBudget(() => ({ bytes: 1_000, configured: true }));
});

function model(settings: Partial<EngineConfig> = {}, estimatedBytes = 200): LocalModel<FakeEngine> {
  return new LocalModel({
    name: 'm',
    settings: { ...engine.parse({ path: '/m.gguf' }), ...settings },
    create(limitBytes) {
      const created = new FakeEngine(limitBytes);
      engines.push(created);
      return created;
    },
    estimate: async () => ({
      weightsBytes: estimatedBytes,
      kvBytes: 0,
      prefixCacheBytes: 0,
      otherBytes: 0,
      totalBytes: estimatedBytes,
    }),
    budget,
    emit: (event) => {
      if (event.type === 'local-model-changed') events.push(event);
      else doubts.push(event);
    },
    clock,
  });
}

/** Lets everything happen that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

const nothing = new AbortController().signal;
const last = () => engines.at(-1)!;
const use = (local: LocalModel<FakeEngine>, signal = nothing) => local.use(signal, async () => 'done');

async function ready(local: LocalModel<FakeEngine>): Promise<void> {
  void local.load('request');
  await settle();
  last().loaded();
  await settle();
}

describe('coming into memory', () => {
  test('one process for all that wait; it counts as estimated, then as measured', async () => {
    const local = model();
    const requests = [use(local), use(local)];
    await settle();
    expect(engines).toHaveLength(1);
    expect(local.health()).toMatchObject({ state: 'starting', inFlight: 2, queued: 2 });
    expect(budget.chargedBytes).toBe(200);
    last().loaded();
    expect(await Promise.all(requests)).toEqual(['done', 'done']);
    expect(budget.chargedBytes).toBe(150);
    expect(local.health()).toMatchObject({ state: 'ready', inFlight: 0, queued: 0 });
  });

  test('a failure is told to all that wait, and the supervisor is left to it', async () => {
    const local = model();
    const request = use(local);
    await settle();
    last().fail();
    await expect(request).rejects.toMatchObject({ code: 'model_unavailable', retryAfterMs: 700 });
    expect(local.state).toBe('failed');
    // The engine itself answers now, until it has a process again.
    expect(await use(local)).toBe('done');
    expect(engines).toHaveLength(1);
  });

  test('an operator tries again at once, with a new process', async () => {
    const local = model();
    void local.load('request').catch(() => {});
    await settle();
    last().fail();
    await settle();
    const loaded = local.load('operator');
    await settle();
    expect(engines).toHaveLength(2);
    expect(engines[0]?.closed).toBe(true);
    last().loaded();
    await loaded;
    expect(await use(local)).toBe('done');
  });

  test('a request that is given up leaves the load to others', async () => {
    const local = model();
    const leave = new AbortController();
    const request = use(local, leave.signal);
    await settle();
    leave.abort(new Error('gone'));
    await expect(request).rejects.toThrow('gone');
    expect(local.health().inFlight).toBe(0);
    last().loaded();
    await settle();
    expect(local.state).toBe('ready');
  });

  describe('beside a busy model', () => {
    let busy: Resident & { idleSinceMs: number | undefined };
    const evicted: string[] = [];

    beforeEach(async () => {
      evicted.length = 0;
      busy = {
        ...{ name: 'busy', expectedBytes: 900, residentBytes: undefined, idleSinceMs: undefined },
        async evict(inFavourOf) {
          evicted.push(inFavourOf);
          budget.release(busy);
        },
      };
      await budget.admit(busy, { mayEvict: true });
    });

    /** In steps that everything that waits can follow. */
    async function pass(ms: number): Promise<void> {
      for (let passedMs = 0; passedMs < ms; passedMs += 100) {
        clock.advance(100);
        await settle();
      }
    }

    test('a request waits until that is idle, and takes its place', async () => {
      const request = use(model());
      await settle();
      await pass(5_000);
      expect(engines).toHaveLength(0);
      busy.idleSinceMs = clock.now();
      await pass(200);
      last().loaded();
      expect(await request).toBe('done');
      expect(evicted).toEqual(['m']);
    });

    test('a request that has waited for long is told when to come again', async () => {
      const request = use(model()).catch((error) => error);
      await settle();
      await pass(10_500);
      expect(await request).toMatchObject({ code: 'model_unavailable', retryAfterMs: 5_000 });
      expect(engines).toHaveLength(0);
    });

    test('nobody waits for a client that has left, nor for what would not fit alone', async () => {
      const controller = new AbortController();
      const local = model();
      const left = use(local, controller.signal).catch((error) => error);
      await settle();
      controller.abort(new Error('gone'));
      await left;
      await pass(200);
      expect(local.health()).toMatchObject({ state: 'unloaded' });
      expect(await use(model({}, 2_000)).catch((error) => error)).toMatchObject({
        code: 'model_unavailable',
      });
    });

    test('an operator is told at once', async () => {
      await expect(model().load('operator')).rejects.toThrow(/busy has .* and is busy/);
    });
  });

  test('without room it fails with numbers, and the next request tries again', async () => {
    const local = model({}, 2_000);
    await expect(use(local)).rejects.toMatchObject({ code: 'model_unavailable', retryAfterMs: 5_000 });
    expect(local.state).toBe('failed');
    expect(local.health()).toMatchObject({
      state: 'unloaded',
      detail: expect.stringContaining('may come to take'),
    });
    expect(events.at(-1)).toMatchObject({ change: 'refused', reason: 'request' });
    expect(engines).toHaveLength(0);
  });

  test.each([
    [undefined, 200 * 2 + 512 * 2 ** 20, 150 * 2 + 512 * 2 ** 20],
    [300, 300, 300],
  ])('its process may take %s', async (memoryLimitBytes, before, after) => {
    const local = model(memoryLimitBytes === undefined ? {} : { memoryLimitBytes });
    void local.load('request');
    await settle();
    expect(last().limitBytes()).toBe(before);
    last().loaded();
    await settle();
    expect(last().limitBytes()).toBe(after);
  });
});

test.each([
  [{}, []],
  [{ contextTokens: 64, memoryLimitBytes: 150 }, []],
  [{ memoryLimitBytes: 149 }, [{ type: 'engine-limit-low', memoryLimitBytes: 149, expectedBytes: 150 }]],
  [{ contextTokens: 65 }, [{ type: 'engine-setting-reduced', setting: 'contextTokens', used: 64 }]],
])('when it is there it says which of its settings (%o) do not hold', async (settings, expected) => {
  await ready(model(settings));
  expect(doubts).toMatchObject(expected);
  expect(doubts).toHaveLength(expected.length);
});

describe('leaving memory', () => {
  test('when idle for long enough, counted from the end of its work', async () => {
    const local = model({ keepAliveMs: 5_000 });
    await ready(local);
    last().inFlight = 1;
    clock.advance(20_000);
    await settle();
    expect(local.state).toBe('ready');
    last().inFlight = 0;
    clock.advance(3_000);
    await settle();
    expect(local.state).toBe('ready');
    clock.advance(4_000);
    await settle();
    expect(engines[0]?.closed).toBe(true);
    expect(local.health()).toMatchObject({ state: 'unloaded', detail: 'idle for 5000 ms' });
    expect(budget.chargedBytes).toBe(0);
    expect(events.at(-1)).toMatchObject({ change: 'unloaded', reason: 'idle' });
  });

  test('finishes what runs first; a request that comes meanwhile has it loaded again afterwards', async () => {
    const local = model({ load: 'demand' });
    await ready(local);
    last().inFlight = 1;
    const unloaded = local.unload('operator');
    const late = use(local);
    await settle();
    expect(engines[0]?.closed).toBe(false);
    expect(engines).toHaveLength(1);
    expect(local.health().inFlight).toBe(2);
    engines[0]!.inFlight = 0;
    clock.advance(100);
    await unloaded;
    await settle();
    expect(engines).toHaveLength(2);
    last().loaded();
    expect(await late).toBe('done');
  });

  test('one that is to be there always stays away until an operator brings it back', async () => {
    const local = model();
    await ready(local);
    await local.unload('operator');
    await expect(use(local)).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(local.health()).toMatchObject({ state: 'down', detail: 'unloaded by an operator' });
    void local.load('operator');
    await settle();
    last().loaded();
    await settle();
    expect(await use(local)).toBe('done');
  });

  test('makes room for another, and comes back with the next request whatever the configuration says', async () => {
    const [local, other] = [model({}, 900), model({}, 900)];
    await ready(local);
    void other.load('operator').catch(() => {});
    await settle();
    expect(local.health()).toMatchObject({ state: 'unloaded', detail: 'made room for m' });
    last().loaded();
    await settle();
    const back = use(local);
    await settle();
    last().loaded();
    expect(await back).toBe('done');
    expect(other.state).toBe('unloaded');
  });
});

test('closing ends its process, and what waits', async () => {
  const local = model();
  const request = use(local);
  await settle();
  await local.close();
  await expect(request).rejects.toMatchObject({ code: 'model_unavailable' });
  await expect(use(local)).rejects.toMatchObject({ code: 'shutting_down' });
  expect(budget.chargedBytes).toBe(0);
});

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type AdmissionOptions,
  createAdmission,
  type RunningAdmission,
} from '../../src/admission/create-admission.ts';
import { SteadyClock } from '../../src/admission/steady-clock.ts';
import type { Caller, Limits } from '../../src/core/caller.ts';
import { AppError } from '../../src/core/error.ts';
import type { AdmissionAsk, Reservation } from '../../src/gateway/request/admission.ts';
import { freezableProxy } from '../store/freezable-proxy.ts';
import { noRedis, type RedisServer, startRedis } from '../support/redis.ts';
import type { Order } from './admitting-process.ts';
import { askOf } from './callers.ts';

const PROCESS = fileURLToPath(new URL('./admitting-process.ts', import.meta.url));
const NOTHING_USED = { tokens: 0, nanoUsd: 0 };
/** A machine that has much to do answers late; that is another matter. */
const PATIENT = { timeoutMs: 10_000 };
const TOLD_SOON = { timeoutMs: 10_000, heartbeatMs: 100 };
const QUICK = { timeoutMs: 300, heartbeatMs: 100, leaseMs: 1_000, retryMs: 50 };

describe.skipIf(noRedis())('limits that several gateways count in Redis', () => {
  let redis: RedisServer;
  const running: RunningAdmission[] = [];
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    redis = await startRedis();
  });
  beforeEach(async () => {
    await redis.ask('FLUSHALL');
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const admission of running.splice(0)) await admission.close();
  });
  afterAll(async () => {
    await redis?.remove();
  });

  async function open(options: AdmissionOptions = {}): Promise<RunningAdmission> {
    const admission = createAdmission({ redisUrl: redis.url, times: PATIENT, ...options });
    running.push(admission);
    await admission.ready;
    return admission;
  }

  async function openProcess(times: object = PATIENT): Promise<ChildProcess> {
    const child = fork(PROCESS, [redis.url, JSON.stringify(times)], { stdio: 'inherit' });
    children.push(child);
    await once(child, 'message');
    return child;
  }

  async function tell(child: ChildProcess, order: Order): Promise<{ admitted: number; refused: number }> {
    child.send(order);
    const [counts] = await once(child, 'message');
    return counts;
  }

  async function refusedBy(admission: RunningAdmission, ask: AdmissionAsk): Promise<AppError> {
    try {
      await admission.admit(ask);
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
    throw new Error('was admitted');
  }

  function settledAll(admission: RunningAdmission): Promise<void> {
    return vi.waitFor(() => expect(admission.stats().redis?.unsettled).toBe(0), { timeout: 10_000 });
  }

  const concurrent = (concurrency: number) =>
    ({ project: { concurrency } }) satisfies Partial<Caller['limits']>;

  it('admits exactly one of a thousand that four processes ask at once', async () => {
    const processes = await Promise.all([0, 1, 2, 3].map(() => openProcess()));
    const counts = await Promise.all(processes.map((one) => tell(one, { asks: 250, limits: concurrent(1) })));
    expect(counts.reduce((sum, { admitted }) => sum + admitted, 0)).toBe(1);
    expect(counts.reduce((sum, { refused }) => sum + refused, 0)).toBe(999);
  });

  it('never gives out more than a budget over four processes', async () => {
    const processes = await Promise.all([0, 1, 2, 3].map(() => openProcess()));
    const limits = { organization: { nanoUsdPerDay: 1_050 }, key: { requestsPerMinute: 50 } };
    const counts = await Promise.all(processes.map((one) => tell(one, { asks: 25, limits })));
    expect(counts.reduce((sum, { admitted }) => sum + admitted, 0)).toBe(10);
  });

  it('gives back the slots of a process that was killed, once its lease is over', async () => {
    const doomed = await openProcess(QUICK);
    expect(await tell(doomed, { asks: 3, limits: concurrent(2) })).toMatchObject({ admitted: 2 });
    const admission = await open({ times: { ...QUICK, timeoutMs: 10_000 } });
    await vi.waitFor(() => expect(admission.stats().redis?.replicas).toBe(2), { timeout: 10_000 });
    expect((await refusedBy(admission, askOf(concurrent(2)))).code).toBe('rate_limit_exceeded');
    doomed.kill('SIGKILL');
    const got: Reservation[] = [];
    await vi.waitFor(
      async () => {
        got.push(await admission.admit(askOf(concurrent(2))));
        expect(got).toHaveLength(2);
      },
      { timeout: 10_000, interval: 50 },
    );
    await vi.waitFor(() => expect(admission.stats().redis?.replicas).toBe(1), { timeout: 10_000 });
  });

  it('keeps the slots of a process that lives for longer than a lease', async () => {
    // As often as twenty times a lease: a process that gets no processor for a second loses nothing.
    const times = { ...QUICK, timeoutMs: 10_000, leaseMs: 2_000 };
    const [one, other] = await Promise.all([open({ times }), open({ times })]);
    const held = await one.admit(askOf(concurrent(1)));
    const untilMs = performance.now() + 1.5 * times.leaseMs;
    while (performance.now() < untilMs) {
      await refusedBy(other, askOf(concurrent(1)));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    held.settle(NOTHING_USED);
    await settledAll(one);
    await other.admit(askOf(concurrent(1)));
  });

  it('lets a refused request use nothing, and settles what was used', async () => {
    const admission = await open();
    const limits = {
      key: { requestsPerMinute: 5, tokensPerMinute: 100, nanoUsdPerDay: 1_000 },
      project: { concurrency: 1 },
    };
    const first = await admission.admit(askOf(limits, { tokens: 80 }));
    for (let i = 0; i < 20; i++) {
      const { message } = await refusedBy(admission, askOf(limits));
      expect(message).toContain('of its project');
    }
    first.settle({ tokens: 10, nanoUsd: 950 });
    expect(() => first.settle(NOTHING_USED)).toThrow('settled twice');
    await settledAll(admission);
    const second = await admission.admit(askOf(limits, { nanoUsd: 50 }));
    expect(second.rate.requests?.remaining).toBe(3);
    expect(second.rate.tokens?.remaining).toBeGreaterThanOrEqual(80);
    second.settle({ tokens: 10, nanoUsd: 50 });
    await settledAll(admission);
    const refused = await refusedBy(admission, askOf(limits, { nanoUsd: 1 }));
    expect(refused.code).toBe('insufficient_quota');
  });

  it.each<[string, Limits, Limits]>([
    ['without a limit of requests', { concurrency: 9 }, { requestsPerMinute: 2 }],
    ['under a higher limit of requests', { requestsPerMinute: 6_000_000 }, { requestsPerMinute: 2 }],
    ['without a limit of tokens', { concurrency: 9 }, { tokensPerMinute: 20 }],
    ['under a higher limit of tokens', { tokensPerMinute: 60_000_000 }, { tokensPerMinute: 20 }],
  ])('gives nothing out again because of a request that began %s', async (_, earlier, now) => {
    const admission = await open();
    const first = await admission.admit(askOf({ key: earlier }));
    const others: Reservation[] = [];
    const more = async () => {
      while (others.length < 3) others.push(await admission.admit(askOf({ key: now })));
    };
    await expect(more()).rejects.toThrow(AppError);
    for (const one of [...others, first]) {
      one.settle({ tokens: 10, nanoUsd: 100 });
      await settledAll(admission);
    }
    await refusedBy(admission, askOf({ key: now }));
  });

  it('says when to come back, and when there is no use in it', async () => {
    const admission = await open();
    const limits = { key: { tokensPerMinute: 600 } };
    await admission.admit(askOf(limits, { tokens: 600 }));
    const { retryAfterMs, rate } = await refusedBy(admission, askOf(limits, { tokens: 300 }));
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(30_000);
    expect(rate?.tokens?.limit).toBe(600);
    const never = await refusedBy(admission, askOf(limits, { tokens: 601 }));
    expect(never.retryAfterMs).toBeUndefined();
    expect(never.message).toContain('can never pass');
  });

  it('has those come back one after the other who were refused together, at whichever gateway', async () => {
    const gateways = await Promise.all([open(), open()]);
    const told = async (limits: Partial<Caller['limits']>) => {
      const all: number[] = [];
      for (let i = 0; i < 6; i++)
        all.push((await refusedBy(gateways[i % 2]!, askOf(limits))).retryAfterMs! + performance.now());
      return all.map((atMs) => Math.round((atMs - all[0]!) / 1_000));
    };
    const places = { key: { concurrency: 1 } };
    await gateways[0]!.admit(askOf(places));
    expect(await told(places)).toEqual([0, 1, 2, 3, 4, 5]);
    const requests = { project: { requestsPerMinute: 6 } };
    for (let i = 0; i < 6; i++) await gateways[0]!.admit(askOf(requests, { key: 'key_2' }));
    expect(await told(requests)).toEqual([0, 10, 20, 30, 40, 50]);
  });

  it('counts amounts as large as numbers go without losing a nano-dollar', async () => {
    const admission = await open();
    const most = Number.MAX_SAFE_INTEGER;
    const limits = { key: { nanoUsdPerMonth: most } };
    (await admission.admit(askOf(limits, { nanoUsd: most }))).settle({ tokens: 0, nanoUsd: most - 3 });
    await settledAll(admission);
    await refusedBy(admission, askOf(limits, { nanoUsd: 4 }));
    (await admission.admit(askOf(limits, { nanoUsd: 3 }))).settle({ tokens: 1e300, nanoUsd: Number.NaN });
    await settledAll(admission);
    (await admission.admit(askOf(limits, { nanoUsd: 3 }))).settle({ tokens: -5, nanoUsd: 1e300 });
    await settledAll(admission);
    expect((await refusedBy(admission, askOf(limits, { nanoUsd: 1 }))).code).toBe('insufficient_quota');
  });

  it('leaves nothing set aside and everything with a time to live', async () => {
    const admission = await open();
    const limits = {
      key: { concurrency: 40, nanoUsdPerDay: 1e9, tokensPerMinute: 1e6, requestsPerMinute: 1e6 },
    };
    const all = await Promise.all(
      Array.from({ length: 40 }, () => admission.admit(askOf({ ...limits, model: limits.key }))),
    );
    for (const one of all) one.settle({ tokens: 5, nanoUsd: 7 });
    await settledAll(admission);
    expect(await redis.ask('HGET', '{qianmen}:use:key:key_1', 'reserved')).toBe('0');
    expect(await redis.ask('HGET', '{qianmen}:use:model:m', 'daySpent')).toBe('280');
    expect(await redis.ask('EXISTS', '{qianmen}:leases:key:key_1')).toBe(0);
    for (const key of (await redis.ask('KEYS', '*')) as string[])
      expect(await redis.ask('PTTL', key), key).toBeGreaterThan(0);
  });

  it('goes on by itself with its share while Redis is stopped, and together when it is back', async () => {
    const told: (string | undefined)[] = [];
    const admission = await open({ times: QUICK, share: 1 / 2, onProblem: (problem) => told.push(problem) });
    await vi.waitFor(() => expect(admission.stats().redis?.up).toBe(true), { timeout: 10_000 });
    const limits = { key: { concurrency: 4 } };
    redis.child.kill('SIGSTOP');
    try {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, async () => admission.admit(askOf(limits))),
      );
      const held = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      expect(held).toHaveLength(2);
      expect(admission.problem()).toContain('50 %');
      expect(told).toHaveLength(1);
      // Nobody waits for it any more.
      expect(admission.admit(askOf({ key: { requestsPerMinute: 10 } }))).not.toBeInstanceOf(Promise);
      redis.child.kill('SIGCONT');
      await vi.waitFor(() => expect(admission.problem()).toBeUndefined(), { timeout: 20_000 });
      expect(told).toEqual([told[0], undefined]);
      // What was admitted meanwhile counts for all.
      const after = await Promise.allSettled(
        Array.from({ length: 10 }, async () => admission.admit(askOf(limits))),
      );
      expect(after.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
      for (const one of held) one.settle(NOTHING_USED);
      await settledAll(admission);
      expect(await redis.ask('ZCARD', '{qianmen}:leases:key:key_1')).toBe(2);
    } finally {
      redis.child.kill('SIGCONT');
    }
  });

  it('charges once what it had to tell a stopped Redis again and again', async () => {
    const admission = await open({ times: QUICK });
    const limits = { key: { nanoUsdPerDay: 1_000 } };
    const held = await admission.admit(askOf(limits));
    redis.child.kill('SIGSTOP');
    try {
      held.settle({ tokens: 1, nanoUsd: 70 });
      await vi.waitFor(() => expect(admission.problem()).toBeDefined(), { timeout: 20_000 });
    } finally {
      redis.child.kill('SIGCONT');
    }
    await settledAll(admission);
    const kept = await redis.ask('HMGET', '{qianmen}:use:key:key_1', 'reserved', 'daySpent');
    expect(kept).toEqual(['0', '70']);
    expect(admission.stats().redis?.lost).toBe(0);
  });

  it('counts once what a gateway tells late, though others have heard of it from the ledger', async () => {
    const proxy = await freezableProxy(Number(new URL(redis.url).port));
    const limits = { key: { nanoUsdPerDay: 1_000 } };
    try {
      const early = await open();
      const late = await open({ redisUrl: `redis://127.0.0.1:${proxy.port}`, times: QUICK });
      await early.admit(askOf(limits, { nanoUsd: 100 }));
      const held = await late.admit(askOf(limits, { nanoUsd: 300 }));
      proxy.freeze();
      held.settle({ tokens: 1, nanoUsd: 300 });
      await vi.waitFor(() => expect(late.problem()).toBeDefined(), { timeout: 20_000 });
      const spent = new Map([['key_1', { day: 300, month: 300 }]]);
      early.refreshSpent({ key: spent, project: [], organization: [], model: [] }, early.nowMs());
      await early.admit(askOf(limits, { nanoUsd: 100 }));
      proxy.thaw();
      await settledAll(late);
      expect(late.stats().redis?.lost).toBe(0);
      await refusedBy(early, askOf(limits, { nanoUsd: 501 }));
      await early.admit(askOf(limits, { nanoUsd: 500 }));
    } finally {
      proxy.close();
    }
  });

  it('gives out no more than a budget that is set again, whichever gateway spent without one meanwhile', async () => {
    const [one, other] = await Promise.all([open({ times: TOLD_SOON }), open({ times: TOLD_SOON })]);
    const budget = { key: { nanoUsdPerDay: 1_000 } };
    (await one.admit(askOf(budget, { nanoUsd: 100 }))).settle({ tokens: 1, nanoUsd: 100 });
    for (const gateway of [one, other])
      (await gateway.admit(askOf({}, { nanoUsd: 300 }))).settle({ tokens: 1, nanoUsd: 300 });
    const spentOf = () => redis.ask('HGET', '{qianmen}:use:key:key_1', 'daySpent');
    await vi.waitFor(async () => expect(await spentOf()).toBe('700'), { timeout: 10_000 });
    const spent = new Map([['key_1', { day: 700, month: 700 }]]);
    for (const gateway of [one, other])
      gateway.refreshSpent({ key: spent, project: [], organization: [], model: [] }, gateway.nowMs());
    (await one.admit(askOf(budget, { nanoUsd: 200 }))).settle({ tokens: 1, nanoUsd: 200 });
    await settledAll(one);
    await refusedBy(other, askOf(budget, { nanoUsd: 101 }));
    await other.admit(askOf(budget, { nanoUsd: 100 }));
  });

  it('counts once what was spent before Redis lost everything and is told to it after', async () => {
    const proxy = await freezableProxy(Number(new URL(redis.url).port));
    const limits = { key: { nanoUsdPerDay: 1_000 } };
    try {
      const early = await open();
      const late = await open({ redisUrl: `redis://127.0.0.1:${proxy.port}`, times: QUICK });
      const held = await late.admit(askOf(limits, { nanoUsd: 300 }));
      proxy.freeze();
      held.settle({ tokens: 1, nanoUsd: 300 });
      await vi.waitFor(() => expect(late.problem()).toBeDefined(), { timeout: 20_000 });
      await redis.ask('FLUSHALL');
      const spent = new Map([['key_1', { day: 300, month: 300 }]]);
      early.refreshSpent({ key: spent, project: [], organization: [], model: [] }, early.nowMs());
      (await early.admit(askOf(limits, { nanoUsd: 100 }))).settle({ tokens: 1, nanoUsd: 100 });
      await settledAll(early);
      proxy.thaw();
      await settledAll(late);
      await refusedBy(early, askOf(limits, { nanoUsd: 601 }));
      await early.admit(askOf(limits, { nanoUsd: 600 }));
    } finally {
      proxy.close();
    }
  });

  it('goes on by itself where Redis refuses to take anything', async () => {
    const admission = await open({ times: QUICK, share: 1 / 2 });
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    try {
      for (let i = 0; i < 2; i++) await admission.admit(askOf(concurrent(4)));
      await refusedBy(admission, askOf(concurrent(4)));
      expect(admission.problem()).toContain('OOM');
    } finally {
      await redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    }
    await vi.waitFor(() => expect(admission.problem()).toBeUndefined(), { timeout: 20_000 });
  });

  it('knows what was spent and what runs after Redis has lost everything', async () => {
    const admission = await open({ times: QUICK });
    const limits = { key: { nanoUsdPerDay: 1_000, concurrency: 2 } };
    const spent = new Map([['key_1', { day: 600, month: 600 }]]);
    admission.refreshSpent({ key: spent, project: [], organization: [], model: [] }, admission.nowMs());
    const held = await admission.admit(askOf(limits, { nanoUsd: 100 }));
    await redis.kill();
    await vi.waitFor(
      async () => {
        await admission.admit(askOf({ key: { requestsPerMinute: 1_000 } }));
        expect(admission.problem()).toBeDefined();
      },
      { timeout: 10_000 },
    );
    await redis.start();
    await vi.waitFor(() => expect(admission.problem()).toBeUndefined(), { timeout: 20_000 });
    await refusedBy(admission, askOf(limits, { nanoUsd: 301 }));
    const second = await admission.admit(askOf(limits, { nanoUsd: 300 }));
    await refusedBy(admission, askOf(limits, { nanoUsd: 0 }));
    held.settle({ tokens: 0, nanoUsd: 100 });
    second.settle({ tokens: 0, nanoUsd: 300 });
    await settledAll(admission);
    expect(await redis.ask('HMGET', '{qianmen}:use:key:key_1', 'reserved', 'daySpent')).toEqual([
      '0',
      '1000',
    ]);
  });

  it('begins a new day for all with the first gateway, and no day twice', async () => {
    const today = Date.now();
    const at = (systemMs: number) => new SteadyClock({ monotonic: () => 0, system: () => systemMs });
    const [early, late] = await Promise.all([
      open({ clock: at(today) }),
      open({ clock: at(today + 86_400_000) }),
    ]);
    const limits = { key: { nanoUsdPerDay: 100 } };
    (await early.admit(askOf(limits))).settle({ tokens: 1, nanoUsd: 100 });
    await settledAll(early);
    expect((await refusedBy(early, askOf(limits))).code).toBe('insufficient_quota');
    (await late.admit(askOf(limits, { nanoUsd: 60 }))).settle({ tokens: 1, nanoUsd: 60 });
    await settledAll(late);
    await refusedBy(early, askOf(limits, { nanoUsd: 41 }));
    await early.admit(askOf(limits, { nanoUsd: 40 }));
  });

  it('is not stuck in a day that one gateway is wrong about, whichever way', async () => {
    const DAY_MS = 86_400_000;
    const at = (systemMs: number) =>
      open({ clock: new SteadyClock({ monotonic: () => 0, system: () => systemMs }) });
    const now = Date.now();
    const [right, ahead, behind, next] = await Promise.all(
      [now, now + 1_000 * DAY_MS, now - 1_000 * DAY_MS, now + DAY_MS].map(at),
    );
    const limits = { key: { nanoUsdPerDay: 100, nanoUsdPerMonth: 1_000 } };
    const spend = async (admission: Awaited<ReturnType<typeof open>>, nanoUsd: number) => {
      (await admission.admit(askOf(limits, { nanoUsd }))).settle({ tokens: 1, nanoUsd });
      await settledAll(admission);
    };
    // It comes first, and is believed: there is nothing to compare it to.
    await spend(ahead!, 10);
    await spend(right!, 20);
    await spend(ahead!, 30);
    await spend(behind!, 40);
    for (const admission of [right!, ahead!, behind!])
      await refusedBy(admission, askOf(limits, { nanoUsd: 1 }));
    await spend(next!, 100);
    for (const admission of [right!, ahead!, behind!, next!])
      await refusedBy(admission, askOf(limits, { nanoUsd: 1 }));
  });

  it('loads its scripts again after Redis has forgotten them', async () => {
    const admission = await open();
    await admission.admit(askOf(concurrent(2)));
    await redis.ask('SCRIPT', 'FLUSH');
    await admission.admit(askOf(concurrent(2)));
    await refusedBy(admission, askOf(concurrent(2)));
    expect(admission.stats().redis?.decidedAlone).toBe(0);
  });

  it('follows an address to another Redis, where the one before goes on as a copy of that', async () => {
    const other = await startRedis();
    const proxy = await freezableProxy(Number(new URL(redis.url).port));
    try {
      const redisUrl = `redis://127.0.0.1:${proxy.port}`;
      const admission = await open({ redisUrl, times: { ...QUICK, timeoutMs: 2_000 } });
      const limits = concurrent(1);
      const held = await admission.admit(askOf(limits));
      proxy.leadTo(Number(new URL(other.url).port));
      await redis.ask('REPLICAOF', '127.0.0.1', new URL(other.url).port);
      await vi.waitFor(() => expect(admission.problem()).toContain('READONLY'), { timeout: 10_000 });
      await vi.waitFor(() => expect(admission.problem()).toBeUndefined(), { timeout: 10_000 });
      expect(await other.ask('ZCARD', '{qianmen}:leases:project:proj_1')).toBe(1);
      await refusedBy(admission, askOf(limits));
      held.settle(NOTHING_USED);
      await settledAll(admission);
      expect(await other.ask('ZCARD', '{qianmen}:leases:project:proj_1')).toBe(0);
    } finally {
      await redis.ask('REPLICAOF', 'NO', 'ONE');
      proxy.close();
      await other.remove();
    }
  });

  it('starts without Redis, says so, and uses it once it is there', async () => {
    await redis.kill();
    const told: (string | undefined)[] = [];
    const admission = await open({ times: QUICK, share: 1 / 4, onProblem: (problem) => told.push(problem) });
    expect(admission.problem()).toContain('25 %');
    await admission.admit(askOf({ key: { concurrency: 4 } }));
    await refusedBy(admission, askOf({ key: { concurrency: 4 } }));
    await redis.start();
    await vi.waitFor(() => expect(admission.problem()).toBeUndefined(), { timeout: 20_000 });
    await admission.admit(askOf({ key: { concurrency: 4 } }));
    expect(told).toHaveLength(2);
  });

  it('takes a jump of its clock for a moment', async () => {
    const admission = await open({ times: { ...PATIENT, heartbeatMs: 1_000 } });
    const limits = { key: { requestsPerMinute: 1, concurrency: 1 } };
    const hour = 3_600_000;
    const held = await admission.admit(askOf(limits));
    for (const jumpMs of [-hour, hour]) {
      // As if the last look had been an hour ago, or was still to come.
      const system = Number(await redis.ask('HGET', '{qianmen}:clock', 'system'));
      await redis.ask('HSET', '{qianmen}:clock', 'system', `${system + jumpMs}`);
      expect((await refusedBy(admission, askOf(limits))).message).toContain('at a time');
    }
    held.settle(NOTHING_USED);
    await settledAll(admission);
    const refused = await refusedBy(admission, askOf(limits));
    expect(refused.message).toContain('per minute');
    expect(refused.retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it('does not ask Redis about a request that no limit holds for', async () => {
    const admission = await open();
    expect(admission.admit(askOf({}))).not.toBeInstanceOf(Promise);
  });
});

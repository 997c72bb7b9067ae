import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Caller, Limits } from '../core/caller.ts';
import { AppError } from '../core/error.ts';
import type { Reservation } from '../gateway/request/admission.ts';
import { LocalAdmission, type LocalAdmissionOptions } from './local-admission.ts';
import { SteadyClock } from './steady-clock.ts';

const MORNING = Date.UTC(2026, 0, 31, 10);

function setUp(options: LocalAdmissionOptions = {}) {
  const time = { monotonicMs: 0, systemMs: MORNING };
  const clock = new SteadyClock({ monotonic: () => time.monotonicMs, system: () => time.systemMs });
  const pass = (ms: number) => {
    time.monotonicMs += ms;
    time.systemMs += ms;
  };
  return { admission: new LocalAdmission({ clock, ...options }), time, pass };
}

function callerWith(limits: Partial<Caller['limits']> = {}, keyId = 'key_1'): Caller {
  return {
    keyId,
    projectId: 'proj_1',
    organizationId: 'org_1',
    role: 'user',
    weight: 1,
    priority: 0,
    demands: {},
    limits: { key: {}, project: {}, organization: {}, ...limits },
  };
}

interface Asked {
  readonly tokens?: number;
  readonly nanoUsd?: number;
  readonly modelLimits?: Limits;
}

function ask(admission: LocalAdmission, caller: Caller, asked: Asked = {}): Reservation {
  return admission.admit({ caller, model: 'm', tokens: 10, nanoUsd: 100, ...asked });
}

function refusedBy(attempt: () => unknown): AppError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('was admitted');
}

describe('admission in one process', () => {
  it('admits exactly one of a thousand where one may run', () => {
    const { admission } = setUp();
    const caller = callerWith({ project: { concurrency: 1 } });
    let admitted = 0;
    for (let i = 0; i < 1_000; i++) {
      try {
        ask(admission, caller);
        admitted += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: 'rate_limit_exceeded' });
      }
    }
    expect(admitted).toBe(1);
  });

  it('lets a refused request use nothing of any limit', () => {
    const { admission } = setUp();
    const caller = callerWith({
      key: { requestsPerMinute: 5, tokensPerMinute: 100, nanoUsdPerDay: 1_000 },
      organization: { concurrency: 1 },
    });
    const first = ask(admission, caller);
    for (let i = 0; i < 20; i++) refusedBy(() => ask(admission, caller));
    first.settle({ tokens: 10, nanoUsd: 100 });
    expect(ask(admission, caller).rate).toMatchObject({
      requests: { remaining: 3 },
      tokens: { remaining: 80 },
    });
    expect(admission.inUse('key', 'key_1')).toMatchObject({ running: 1, reservedNanoUsd: 100, day: 100 });
  });

  it('says exactly when the next request passes', () => {
    const { admission, pass } = setUp();
    const caller = callerWith({ key: { requestsPerMinute: 60 } });
    for (let i = 0; i < 60; i++) ask(admission, caller);
    const { retryAfterMs, rate } = refusedBy(() => ask(admission, caller));
    expect(retryAfterMs).toBe(1_000);
    expect(rate?.requests).toEqual({ limit: 60, remaining: 0, resetMs: 60_000 });
    pass(999);
    refusedBy(() => ask(admission, caller));
    pass(1);
    ask(admission, caller);
  });

  it.each<[string, Limits, number, number]>([
    ['a key', { requestsPerMinute: 60 }, 60, 1_000],
    ['tokens', { tokensPerMinute: 1_200 }, 120, 500],
    ['places', { concurrency: 4 }, 4, 250],
    ['a budget', { nanoUsdPerDay: 1_000 }, 10, 100],
  ])('has those come back one after the other who were refused together: %s', (_, key, fit, eachMs) => {
    const { admission, pass } = setUp();
    const caller = callerWith({ key });
    const running = Array.from({ length: fit }, () => ask(admission, caller));
    const told = Array.from({ length: 6 }, () => refusedBy(() => ask(admission, caller)).retryAfterMs!);
    const [firstMs = 0] = told;
    expect(told).toEqual(told.map((_, i) => firstMs + i * eachMs));
    // As the limit of a minute runs out, or as one after the other ends, each finds room at its first try.
    pass(firstMs);
    for (const _ of told) {
      if (!key.requestsPerMinute) running.pop()!.settle({ tokens: 10, nanoUsd: 0 });
      running.unshift(ask(admission, caller));
      pass(eachMs);
    }
  });

  it('tells nobody who is refused to wait for more than a minute, nor one alone for longer than there is no room', () => {
    const { admission, pass } = setUp();
    const caller = callerWith({ key: { requestsPerMinute: 60 } });
    for (let i = 0; i < 60; i++) ask(admission, caller);
    const told = Array.from({ length: 150 }, () => refusedBy(() => ask(admission, caller)).retryAfterMs!);
    expect(Math.max(...told)).toBe(60_000);
    for (const ms of told) expect(told.filter((other) => other === ms).length).toBeLessThanOrEqual(3);
    pass(60_000);
    for (let i = 0; i < 60; i++) ask(admission, caller);
    for (let i = 0; i < 10; i++) {
      expect(refusedBy(() => ask(admission, caller)).retryAfterMs).toBe(1_000);
      pass(1_000);
      ask(admission, caller);
    }
  });

  it('gives back the tokens that were not used', () => {
    const { admission } = setUp();
    const caller = callerWith({ project: { tokensPerMinute: 100 } });
    const first = ask(admission, caller, { tokens: 100 });
    refusedBy(() => ask(admission, caller, { tokens: 50 }));
    first.settle({ tokens: 20, nanoUsd: 0 });
    expect(ask(admission, caller, { tokens: 50 }).rate.tokens?.remaining).toBe(30);
  });

  it('charges what was used beyond what was set aside', () => {
    const { admission, pass } = setUp();
    const caller = callerWith({ project: { tokensPerMinute: 60 } });
    ask(admission, caller, { tokens: 10 }).settle({ tokens: 180, nanoUsd: 0 });
    expect(refusedBy(() => ask(admission, caller, { tokens: 60 })).retryAfterMs).toBe(180_000);
    pass(180_000);
    ask(admission, caller, { tokens: 60 });
  });

  it('tells a request that can never pass so, without a time to come back', () => {
    const { admission } = setUp();
    const caller = callerWith({ key: { tokensPerMinute: 100 } });
    const { retryAfterMs, message } = refusedBy(() => ask(admission, caller, { tokens: 101 }));
    expect(retryAfterMs).toBeUndefined();
    expect(message).toContain('can never pass');
  });

  it('never gives out more than a budget, however many ask at once', () => {
    const { admission } = setUp();
    const caller = callerWith({ organization: { nanoUsdPerDay: 1_000 } });
    const admitted: Reservation[] = [];
    for (let i = 0; i < 100; i++) {
      try {
        admitted.push(ask(admission, caller, { nanoUsd: 300 }));
      } catch (error) {
        expect(error).toMatchObject({ code: 'rate_limit_exceeded', status: 429 });
      }
    }
    expect(admitted).toHaveLength(3);
    for (const one of admitted) one.settle({ tokens: 1, nanoUsd: 50 });
    expect(admission.inUse('organization', 'org_1')).toMatchObject({
      running: 0,
      reservedNanoUsd: 0,
      day: 150,
    });
  });

  it('has those come back soon for whom money is only held, and at the end of the period those for whom it is spent', () => {
    const { admission } = setUp();
    const caller = callerWith({ project: { nanoUsdPerDay: 1_000, nanoUsdPerMonth: 1_300 } });
    const first = ask(admission, caller, { nanoUsd: 900 });
    const held = refusedBy(() => ask(admission, caller, { nanoUsd: 101 }));
    expect(held).toMatchObject({ code: 'rate_limit_exceeded', status: 429, retryAfterMs: 1_000 });
    const never = refusedBy(() => ask(admission, caller, { nanoUsd: 1_001 }));
    expect(never).toMatchObject({ code: 'insufficient_quota', retryAfterMs: 14 * 3_600_000 });
    first.settle({ tokens: 1, nanoUsd: 100 });
    ask(admission, caller, { nanoUsd: 900 });
    expect(refusedBy(() => ask(admission, caller, { nanoUsd: 1 })).code).toBe('rate_limit_exceeded');
    const beyond = refusedBy(() => ask(admission, caller, { nanoUsd: 901 }));
    expect(beyond).toMatchObject({ code: 'insufficient_quota' });
  });

  it('tells of the budget that is spent rather than of the one that is only held', () => {
    const { admission } = setUp();
    const spent = new Map([['proj_1', { day: 0, month: 1_290 }]]);
    admission.refreshSpent({ key: [], project: spent, organization: [], model: [] }, MORNING);
    const caller = callerWith({ project: { nanoUsdPerDay: 20, nanoUsdPerMonth: 1_300 } });
    ask(admission, caller, { nanoUsd: 10 });
    const refused = refusedBy(() => ask(admission, caller, { nanoUsd: 11 }));
    expect(refused.code).toBe('insufficient_quota');
    expect(refused.message).toContain('of the month');
  });

  it('begins a new budget with the day and with the month', () => {
    const { admission, pass } = setUp();
    const daily = callerWith({ key: { nanoUsdPerDay: 100 } }, 'daily');
    const monthly = callerWith({ key: { nanoUsdPerMonth: 100 } }, 'monthly');
    for (const caller of [daily, monthly]) ask(admission, caller).settle({ tokens: 1, nanoUsd: 100 });
    expect(refusedBy(() => ask(admission, daily)).retryAfterMs).toBe(14 * 3_600_000);
    expect(refusedBy(() => ask(admission, monthly)).retryAfterMs).toBe(14 * 3_600_000);
    pass(14 * 3_600_000);
    ask(admission, daily);
    ask(admission, monthly);
  });

  it('takes no jump of the system clock for a new day, nor for time that has passed', () => {
    for (const jumpMs of [3_600_000, -3_600_000]) {
      const { admission, time } = setUp();
      time.systemMs = MORNING;
      const caller = callerWith({ key: { nanoUsdPerDay: 100, requestsPerMinute: 1 } });
      ask(admission, caller).settle({ tokens: 1, nanoUsd: 100 });
      time.systemMs = MORNING + 13.5 * 3_600_000;
      time.monotonicMs += 13.5 * 3_600_000;
      time.systemMs += jumpMs;
      expect(refusedBy(() => ask(admission, caller)).code).toBe('insufficient_quota');
    }
  });

  it('is not stuck in a day that the system was wrong about, nor gives out again what was spent in it', () => {
    const { admission, time, pass } = setUp();
    const caller = callerWith({ key: { nanoUsdPerDay: 200 } });
    const spend = () => ask(admission, caller).settle({ tokens: 1, nanoUsd: 100 });
    time.monotonicMs += 60_000;
    time.systemMs += 1_000 * 86_400_000;
    spend();
    time.monotonicMs += 60_000;
    time.systemMs -= 1_000 * 86_400_000;
    spend();
    expect(refusedBy(spend).retryAfterMs).toBe(14 * 3_600_000);
    pass(14 * 3_600_000);
    spend();
  });

  it('goes on from what was spent before it began', () => {
    const { admission } = setUp();
    const spent = new Map([['proj_1', { day: 950, month: 950 }]]);
    admission.refreshSpent({ key: [], project: spent, organization: [], model: [] }, MORNING);
    const caller = callerWith({ project: { nanoUsdPerDay: 1_000 } });
    refusedBy(() => ask(admission, caller));
    ask(admission, caller, { nanoUsd: 50 });
  });

  it('does not take the totals of yesterday for those of today', () => {
    const { admission } = setUp();
    const spent = new Map([['key_1', { day: 950, month: 960 }]]);
    const totals = { key: spent, project: [], organization: [], model: [] };
    admission.refreshSpent(totals, MORNING - 24 * 3_600_000);
    expect(admission.inUse('key', 'key_1')).toMatchObject({ day: 0, month: 960 });
  });

  it('learns what others spend of the same budget, and counts nothing twice', () => {
    const { admission } = setUp({ share: 1 / 2 });
    const caller = callerWith({ key: { nanoUsdPerDay: 1_000 } });
    const totals = (day: number) => {
      const spent = new Map([['key_1', { day, month: day }]]);
      admission.refreshSpent({ key: spent, project: [], organization: [], model: [] }, MORNING);
    };
    ask(admission, caller, { nanoUsd: 300 }).settle({ tokens: 1, nanoUsd: 300 });
    totals(300);
    expect(admission.inUse('key', 'key_1')?.day).toBe(300);
    refusedBy(() => ask(admission, caller, { nanoUsd: 201 }));
    totals(900);
    refusedBy(() => ask(admission, caller, { nanoUsd: 101 }));
    ask(admission, caller, { nanoUsd: 100 });
  });

  it('gives out only its share of what was left when it began', () => {
    const { admission } = setUp({ share: 1 / 2 });
    const caller = callerWith({ key: { nanoUsdPerDay: 1_000 } });
    const spent = new Map([['key_1', { day: 600, month: 600 }]]);
    admission.refreshSpent({ key: spent, project: [], organization: [], model: [] }, MORNING);
    refusedBy(() => ask(admission, caller, { nanoUsd: 201 }));
    ask(admission, caller, { nanoUsd: 200 });
  });

  it('remembers those that have something in use or have spent, and forgets the rest', () => {
    const { admission, pass } = setUp();
    const running = ask(admission, callerWith({}, 'runs'));
    ask(admission, callerWith({}, 'spent')).settle({ tokens: 1, nanoUsd: 1 });
    const limits = { key: { requestsPerMinute: 10 } };
    for (let i = 0; i < 30_000; i++) {
      ask(admission, callerWith(limits, `key_${i}`)).settle({ tokens: 0, nanoUsd: 0 });
      if (i % 10_000 === 0) pass(60_000);
    }
    expect(admission.subjectCount).toBeLessThan(25_000);
    expect(admission.inUse('key', 'runs')).toMatchObject({ running: 1 });
    expect(admission.inUse('key', 'spent')).toMatchObject({ day: 1 });
    running.settle({ tokens: 0, nanoUsd: 0 });
    expect(admission.reserved).toBe(0);
  });

  it('counts for those together whom it has forgotten in between, however each of them asks again', () => {
    const { admission, pass } = setUp();
    const key = { concurrency: 1 };
    const before = callerWith({ key });
    ask(admission, before).settle({ tokens: 1, nanoUsd: 0 });
    pass(3_600_000);
    for (let i = 0; i < 10_001; i++)
      ask(admission, callerWith({}, `key_${i + 2}`)).settle({ tokens: 1, nanoUsd: 0 });
    expect(admission.subjectCount).toBeLessThan(10_000);
    ask(admission, callerWith({ key }));
    expect(refusedBy(() => ask(admission, before)).code).toBe('rate_limit_exceeded');
  });

  it('gives out its share only where it is one of several, and at least one', () => {
    const { admission } = setUp({ share: 1 / 4 });
    const caller = callerWith({ key: { requestsPerMinute: 9 }, project: { concurrency: 2 } });
    ask(admission, caller);
    expect(refusedBy(() => ask(admission, caller)).message).toContain('of its project');
    const other = callerWith({ key: { requestsPerMinute: 9 } });
    expect(ask(admission, other).rate.requests).toMatchObject({ limit: 9, remaining: 0 });
  });

  it.each<[string, Limits]>([
    ['1 request at a time.', { concurrency: 1 }],
    ['2 requests at a time.', { concurrency: 2 }],
    ['1 request per minute.', { requestsPerMinute: 1 }],
    ['10 tokens per minute.', { tokensPerMinute: 10 }],
  ])('says how much a limit is: %s', (said, key) => {
    const { admission } = setUp();
    const caller = callerWith({ key });
    for (let i = 0; i < (key.concurrency ?? 1); i++) ask(admission, caller);
    expect(refusedBy(() => ask(admission, caller)).message).toBe(
      `The limit of this API key is reached: ${said}`,
    );
  });

  it('tells callers the limit that they know, and what it gives out of it', () => {
    const { admission } = setUp({ share: 1 / 4 });
    const caller = callerWith({ key: { requestsPerMinute: 8, tokensPerMinute: 400 } });
    expect(ask(admission, caller).rate.requests).toMatchObject({ limit: 8, remaining: 1 });
    ask(admission, caller);
    const { message, rate } = refusedBy(() => ask(admission, caller));
    expect(message).toContain(
      "8 requests per minute, of which each of the gateway's processes gives out 2 by itself",
    );
    expect(rate?.requests).toMatchObject({ limit: 8, remaining: 0 });
    const never = refusedBy(() =>
      ask(admission, callerWith({ key: { tokensPerMinute: 400 } }), { tokens: 101 }),
    );
    expect(never.message).toContain('400 per minute, of which');
    const poor = callerWith({ key: { nanoUsdPerDay: 100 } }, 'poor');
    expect(refusedBy(() => ask(admission, poor, { nanoUsd: 26 })).message).toMatch(/^What one of/);
  });

  it('takes a changed limit from the next request on', () => {
    const { admission } = setUp();
    for (let i = 0; i < 3; i++) ask(admission, callerWith({ key: { requestsPerMinute: 3 } }));
    refusedBy(() => ask(admission, callerWith({ key: { requestsPerMinute: 3 } })));
    ask(admission, callerWith({ key: { requestsPerMinute: 4 } }));
  });

  it('limits a model for all callers together', () => {
    const { admission } = setUp();
    const modelLimits = { concurrency: 2 };
    ask(admission, callerWith({}, 'a'), { modelLimits });
    ask(admission, callerWith({}, 'b'), { modelLimits });
    expect(refusedBy(() => ask(admission, callerWith({}, 'c'), { modelLimits })).message).toContain(
      'of the model',
    );
  });

  it('is not fooled by what cannot have been used', () => {
    const { admission } = setUp();
    const caller = callerWith({ key: { tokensPerMinute: 100, nanoUsdPerDay: 1_000 } });
    for (const odd of [-1e15, Number.NaN, Number.NEGATIVE_INFINITY])
      ask(admission, caller).settle({ tokens: odd, nanoUsd: odd });
    expect(admission.inUse('key', 'key_1')).toMatchObject({ running: 0, reservedNanoUsd: 0, day: 0 });
    ask(admission, caller).settle({ tokens: Number.POSITIVE_INFINITY, nanoUsd: Number.MAX_VALUE });
    expect(refusedBy(() => ask(admission, caller)).retryAfterMs).toBeGreaterThan(0);
  });

  it('settles a reservation once', () => {
    const { admission } = setUp();
    const reservation = ask(admission, callerWith());
    reservation.settle({ tokens: 1, nanoUsd: 1 });
    expect(() => reservation.settle({ tokens: 1, nanoUsd: 1 })).toThrow('settled twice');
  });

  it('holds every limit and leaks nothing, whatever comes in whatever order', () => {
    const step = fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      tokens: fc.integer({ min: 0, max: 60 }),
      nanoUsd: fc.integer({ min: 0, max: 400 }),
      usedShare: fc.double({ min: 0, max: 1, noNaN: true }),
      settles: fc.integer({ min: 0, max: 3 }),
      passMs: fc.integer({ min: 0, max: 5_000 }),
    });
    const limits = {
      key: { concurrency: 2, requestsPerMinute: 30 },
      project: { concurrency: 4, tokensPerMinute: 200 },
      organization: { nanoUsdPerDay: 5_000 },
    };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { admission, pass } = setUp();
        const running: { key: string; settle: () => number }[] = [];
        let spent = 0;
        const settleFirst = () => {
          spent += running.shift()?.settle() ?? 0;
        };
        for (const { key, tokens, nanoUsd, usedShare, settles, passMs } of steps) {
          pass(passMs);
          try {
            const reservation = ask(admission, callerWith(limits, key), { tokens, nanoUsd });
            const used = { tokens: Math.floor(tokens * usedShare), nanoUsd: Math.floor(nanoUsd * usedShare) };
            running.push({
              key,
              settle() {
                reservation.settle(used);
                return used.nanoUsd;
              },
            });
          } catch (error) {
            expect(error).toBeInstanceOf(AppError);
          }
          expect(running.length).toBeLessThanOrEqual(4);
          expect(running.filter((one) => one.key === key).length).toBeLessThanOrEqual(2);
          for (let i = 0; i < settles; i++) settleFirst();
          expect(spent).toBeLessThanOrEqual(5_000);
        }
        while (running.length > 0) settleFirst();
        const used = admission.inUse('organization', 'org_1');
        expect(used ?? { running: 0, reservedNanoUsd: 0, day: 0 }).toMatchObject({
          running: 0,
          reservedNanoUsd: 0,
          day: spent,
        });
      }),
    );
  });
});

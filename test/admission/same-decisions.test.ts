import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createAdmission, type RunningAdmission } from '../../src/admission/create-admission.ts';
import { LocalAdmission } from '../../src/admission/local-admission.ts';
import { AppError } from '../../src/core/error.ts';
import type { Admission, AdmissionAsk, Reservation } from '../../src/gateway/request/admission.ts';
import { noRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { askOf } from './callers.ts';

/** Why it is refused, where it is. */
async function decided(admission: Admission, ask: AdmissionAsk): Promise<Reservation | string> {
  try {
    return await admission.admit(ask);
  } catch (error) {
    if (error instanceof AppError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

describe.skipIf(noRedis())('admission in Redis beside admission in one process', () => {
  let redis: RedisServer;
  let runs = 0;
  const gateways: RunningAdmission[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    for (let i = 0; i < 2; i++)
      gateways.push(createAdmission({ redisUrl: redis.url, times: { timeoutMs: 10_000 } }));
    await Promise.all(gateways.map(({ ready }) => ready));
  });
  afterAll(async () => {
    for (const gateway of gateways) await gateway.close();
    await redis?.remove();
  });

  function settledAll(): Promise<void> {
    return vi.waitFor(
      () => {
        for (const gateway of gateways) expect(gateway.stats().redis?.unsettled).toBe(0);
      },
      { timeout: 10_000, interval: 1 },
    );
  }

  it('decides the same whatever comes in whatever order, and holds nothing in the end', async () => {
    const limits = {
      key: { concurrency: 2, requestsPerMinute: 1_000_000 },
      project: { concurrency: 4, nanoUsdPerMonth: 2_600 },
      organization: { nanoUsdPerDay: 2_500 },
      model: { concurrency: 5, tokensPerMinute: 1_000_000_000 },
    };
    const step = fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      gateway: fc.constantFrom(0, 1),
      nanoUsd: fc.integer({ min: 0, max: 900 }),
      more: fc.integer({ min: 0, max: 600 }),
      usedShare: fc.double({ min: 0, max: 1.2, noNaN: true }),
      settles: fc.integer({ min: 0, max: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        await redis.ask('FLUSHALL');
        // The gateways remember what was spent before.
        runs += 1;
        for (const gateway of gateways) expect(gateway.stats().reserved).toBe(0);
        const alone = new LocalAdmission();
        const running: { used: number; both: readonly Reservation[] }[] = [];
        const settleFirst = async () => {
          const first = running.shift();
          for (const one of first?.both ?? []) one.settle({ tokens: 1, nanoUsd: first!.used });
          await settledAll();
        };
        for (const { key, gateway, nanoUsd, more, usedShare, settles } of steps) {
          const ask = askOf(limits, { key, nanoUsd, more, tenant: `${runs}` });
          const own = await decided(alone, ask);
          const shared = await decided(gateways[gateway]!, ask);
          if (typeof own === 'string' || typeof shared === 'string') expect(shared).toBe(own);
          else running.push({ used: Math.floor(nanoUsd * usedShare), both: [own, shared] });
          for (let i = 0; i < settles; i++) await settleFirst();
        }
        while (running.length > 0) await settleFirst();
        const [reserved, spent] = (await redis.ask(
          'HMGET',
          `{qianmen}:use:organization:org_${runs}`,
          'reserved',
          'daySpent',
        )) as [string | null, string | null];
        expect(Number(reserved)).toBe(0);
        expect(Number(spent)).toBe(alone.inUse('organization', `org_${runs}`)?.day ?? 0);
        expect(await redis.ask('KEYS', '{qianmen}:leases:*')).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});

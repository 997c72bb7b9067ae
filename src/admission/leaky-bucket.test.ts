import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeakyBucket } from './leaky-bucket.ts';

describe('a bucket of tokens per minute', () => {
  it('gives back only what has not run out yet', () => {
    const bucket = new LeakyBucket();
    const end = bucket.take(100, 100, 0);
    bucket.take(50, 100, 30_000);
    expect(bucket.level(100, 30_000)).toBe(100);
    bucket.settle(100, end, 0, 100, 30_000);
    expect(bucket.level(100, 30_000)).toBe(50);
  });

  it('forgets a debt within an hour, whatever was said to be used', () => {
    const bucket = new LeakyBucket();
    bucket.settle(0, bucket.take(0, 60, 0), Number.MAX_SAFE_INTEGER, 60, 0);
    expect(bucket.level(60, 0)).toBe(3_600);
    expect(bucket.isEmpty(3_600_000)).toBe(true);
  });

  it('never lets more be used than one that knew beforehand what would be used', () => {
    const step = fc.record({
      passMs: fc.integer({ min: 0, max: 20_000 }),
      wanted: fc.integer({ min: 0, max: 60 }),
      usedShare: fc.double({ min: 0, max: 1, noNaN: true }),
      settles: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const bucket = new LeakyBucket();
        const foresees = new LeakyBucket();
        const open: { wanted: number; used: number; end: number }[] = [];
        let nowMs = 0;
        const settle = () => {
          const [one] = open.splice(Math.floor(open.length / 2), 1);
          if (one) bucket.settle(one.wanted, one.end, one.used, 100, nowMs);
        };
        for (const { passMs, wanted, usedShare, settles } of steps) {
          nowMs += passMs;
          if (bucket.level(100, nowMs) + wanted <= 100) {
            const used = Math.floor(wanted * usedShare);
            open.push({ wanted, used, end: bucket.take(wanted, 100, nowMs) });
            foresees.take(used, 100, nowMs);
          }
          for (let i = 0; i < settles; i++) settle();
          expect(foresees.level(100, nowMs)).toBeLessThanOrEqual(bucket.level(100, nowMs) + 1e-6);
        }
        while (open.length > 0) settle();
        expect(foresees.level(100, nowMs)).toBeLessThanOrEqual(bucket.level(100, nowMs) + 1e-6);
      }),
    );
  });
});

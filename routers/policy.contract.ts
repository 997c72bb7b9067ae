import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidate, Policy } from './policy.ts';

const candidates: fc.Arbitrary<Candidate[]> = fc
  .array(fc.record({ ready: fc.boolean(), inFlight: fc.nat(100) }), { maxLength: 12 })
  .map((list) => list.map((c, i) => ({ id: `d${i}`, ...c })));

/** What every routing policy owes its caller. */
export function policyContract(make: () => Policy): void {
  describe(`policy contract: ${make().name}`, () => {
    it('returns only candidates it was given, each at most once', () => {
      fc.assert(
        fc.property(fc.array(candidates, { maxLength: 8 }), (calls) => {
          const policy = make();
          for (const given of calls) {
            const ranked = policy.rank({ candidates: given, nowMs: 0, random: () => 0.5 });
            expect(new Set(ranked).size).toBe(ranked.length);
            for (const candidate of ranked) expect(given).toContain(candidate);
          }
        }),
      );
    });

    it('puts every ready candidate before those that are not', () => {
      fc.assert(
        fc.property(candidates, (given) => {
          const ranked = make().rank({ candidates: given, nowMs: 0, random: () => 0.5 });
          const firstDown = ranked.findIndex((c) => !c.ready);
          if (firstDown >= 0) expect(ranked.slice(firstDown).every((c) => !c.ready)).toBe(true);
        }),
      );
    });

    it('offers something whenever something is ready', () => {
      fc.assert(
        fc.property(candidates, (given) => {
          const ranked = make().rank({ candidates: given, nowMs: 0, random: () => 0.5 });
          if (given.some((c) => c.ready)) expect(ranked[0]?.ready).toBe(true);
        }),
      );
    });
  });
}

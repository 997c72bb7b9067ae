import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidate } from './candidate.ts';
import { DEFAULT_SETTINGS, type PolicyFactory } from './policy.ts';
import { hashPrompt } from './prompt-hash.ts';
import type { RequestFeatures } from './request.ts';
import { RoutingKnowledge } from './routing-knowledge.ts';

const candidate = fc.record(
  {
    ready: fc.boolean(),
    inFlight: fc.nat(100),
    capacity: fc.option(fc.nat(100), { nil: undefined }),
    weight: fc.double({ min: 0, max: 10, noNaN: true }),
    quality: fc.double({ min: 0, max: 1, noNaN: true }),
    privacy: fc.constantFrom('local', 'private', 'public'),
    price: fc.option(
      fc.record({
        inputUsdPerMTok: fc.nat(10),
        cachedInputUsdPerMTok: fc.nat(10),
        outputUsdPerMTok: fc.nat(10),
      }),
      { nil: undefined },
    ),
  },
  { requiredKeys: ['ready', 'inFlight'] },
);

const candidates: fc.Arbitrary<Candidate[]> = fc
  .array(candidate, { maxLength: 12 })
  .map((list) => list.map((c, i) => ({ id: `d${i}`, ...c })));

const request: fc.Arbitrary<RequestFeatures> = fc
  .record({
    promptTokens: fc.nat(100_000),
    stream: fc.boolean(),
    maxOutputTokens: fc.option(fc.nat(10_000), { nil: undefined }),
    sessionKey: fc.option(fc.constantFrom('s1', 's2'), { nil: undefined }),
    tenant: fc.option(fc.constantFrom('t1', 't2'), { nil: undefined }),
    prompt: fc.constantFrom('', 'a'.repeat(2_000), `${'a'.repeat(1_000)}${'b'.repeat(9_000)}`),
  })
  .map(({ prompt, ...rest }) => ({
    ...rest,
    blocks: hashPrompt('model', prompt),
    blockTokens: 128,
    needs: [],
    constraints: {},
  }));

const step = fc.record({
  candidates,
  request,
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  waitMs: fc.nat(5_000),
  ending: fc.constantFrom('finished', 'failed', 'cancelled', 'none'),
});

/** What every routing policy owes its caller, whatever it has lived through. */
export function policyContract(make: PolicyFactory): void {
  const fresh = () => {
    const knowledge = new RoutingKnowledge();
    return { knowledge, policy: make({ knowledge, settings: DEFAULT_SETTINGS }) };
  };

  /** Runs the steps through one policy; each request is dispatched to the first in the ranking and comes to its ending. */
  const live = (
    steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
    check: (given: readonly Candidate[], ranked: readonly Candidate[]) => void,
  ) => {
    const { knowledge, policy } = fresh();
    let nowMs = 0;
    for (const { candidates: given, request, random, waitMs, ending } of steps) {
      const ranked = policy.rank({ request, candidates: given, nowMs, random: () => random });
      check(
        given,
        ranked.map((one) => one.candidate),
      );
      for (const { score } of ranked) expect(score).not.toBeNaN();
      const [first] = ranked;
      if (first === undefined) continue;
      const dispatch = knowledge.dispatch(first.candidate.id, request, nowMs, policy);
      nowMs += waitMs;
      if (ending === 'none') continue;
      if (ending === 'finished') {
        dispatch.firstToken(nowMs);
        dispatch.finished(nowMs + 100, { promptTokens: request.promptTokens, outputTokens: 10 });
      } else dispatch[ending](nowMs);
    }
  };

  describe(`policy contract: ${fresh().policy.name}`, () => {
    it('returns each of the candidates it was given, exactly once', () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
          live(steps, (given, ranked) => {
            expect(new Set(ranked)).toEqual(new Set(given));
            expect(ranked).toHaveLength(given.length);
          });
        }),
      );
    });

    it('puts every ready candidate before those that are not, and one with room first', () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
          live(steps, (given, ranked) => {
            const firstDown = ranked.findIndex((c) => !c.ready);
            if (firstDown >= 0) expect(ranked.slice(firstDown).every((c) => !c.ready)).toBe(true);
            const open = (c: Candidate) => c.ready && c.inFlight < (c.capacity ?? Number.POSITIVE_INFINITY);
            if (given.some(open)) expect(open(ranked[0]!)).toBe(true);
          });
        }),
      );
    });

    it('decides alike when told the same, with the same chance', () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
          const decisions = () => {
            const ids: string[][] = [];
            live(steps, (_, ranked) => ids.push(ranked.map((c) => c.id)));
            return ids;
          };
          expect(decisions()).toEqual(decisions());
        }),
      );
    });
  });
}

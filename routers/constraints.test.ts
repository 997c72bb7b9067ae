import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Candidate, PRIVACY_CLASSES } from './candidate.ts';
import { obstacle, strictest } from './constraints.ts';
import { decide } from './decide.ts';
import { POLICIES } from './policies.ts';
import { DEFAULT_SETTINGS } from './policy.ts';
import { type Constraints, type RequestFeatures, UNKNOWN_REQUEST } from './request.ts';
import { RoutingKnowledge } from './routing-knowledge.ts';

const regions = ['eu', 'cn', 'us'];
const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });

const constraints: fc.Arbitrary<Constraints> = fc.record({
  privacy: optional(fc.constantFrom(...PRIVACY_CLASSES)),
  regions: optional(fc.subarray(regions)),
  maxCostUsd: optional(fc.double({ min: 0, max: 0.01, noNaN: true })),
  minQuality: optional(fc.double({ min: 0, max: 1, noNaN: true })),
});

const request: fc.Arbitrary<RequestFeatures> = fc
  .record({
    constraints,
    promptTokens: fc.nat(20_000),
    maxOutputTokens: optional(fc.nat(2_000)),
    needs: fc.subarray(['tools', 'image', 'structured-output']),
  })
  .map((one) => ({ ...UNKNOWN_REQUEST, ...one }));

const candidates: fc.Arbitrary<Candidate[]> = fc
  .array(
    fc.record({
      ready: fc.boolean(),
      inFlight: fc.nat(10),
      capabilities: optional(fc.subarray(['tools', 'image', 'structured-output']).map((a) => new Set(a))),
      contextTokens: optional(fc.nat(30_000)),
      privacy: optional(fc.constantFrom(...PRIVACY_CLASSES)),
      region: optional(fc.constantFrom(...regions)),
      quality: optional(fc.double({ min: 0, max: 1, noNaN: true })),
      price: optional(fc.constant({ inputUsdPerMTok: 1, cachedInputUsdPerMTok: 0.1, outputUsdPerMTok: 4 })),
    }),
    { maxLength: 10 },
  )
  .map((list) => list.map((one, i) => ({ id: `d${i}`, ...one })));

it('no policy, however loaded or broken the fleet, offers what is not allowed', () => {
  const knowledge = new RoutingKnowledge();
  const policies = Object.values(POLICIES).map((make) =>
    make({ knowledge, settings: { ...DEFAULT_SETTINGS, exploration: 0.5 } }),
  );
  fc.assert(
    fc.property(candidates, request, fc.nat(), (given, asked, seed) => {
      let state = seed;
      const random = () => {
        state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
        return state / 2 ** 31;
      };
      for (const policy of policies) {
        const { ranked, refused } = decide(policy, { request: asked, candidates: given, nowMs: 0, random });
        expect(ranked.length + refused.length).toBe(given.length);
        for (const { candidate } of ranked) expect(breaks(candidate, asked)).toBe(false);
        for (const { candidate } of refused) expect(breaks(candidate, asked)).toBe(true);
      }
    }),
    { numRuns: 1_000 },
  );
});

/** The rules once more, in other words. */
function breaks(candidate: Candidate, { constraints: c, needs, ...request }: RequestFeatures): boolean {
  const rank = { local: 0, private: 1, public: 2 };
  const where = candidate.region ?? (candidate.privacy === 'local' ? 'home' : 'unknown');
  const tokens = request.promptTokens + (request.maxOutputTokens ?? 1);
  const usd =
    candidate.price === undefined
      ? 0
      : (request.promptTokens * 1 + (request.maxOutputTokens ?? 0) * 4) / 1_000_000;
  return (
    rank[candidate.privacy ?? 'public'] > rank[c.privacy ?? 'public'] ||
    (c.regions !== undefined && where !== 'home' && !c.regions.includes(where)) ||
    (candidate.capabilities !== undefined && needs.some((need) => !candidate.capabilities!.has(need))) ||
    tokens > (candidate.contextTokens ?? Number.POSITIVE_INFINITY) ||
    (candidate.quality ?? 1) < (c.minQuality ?? 0) ||
    usd > (c.maxCostUsd ?? Number.POSITIVE_INFINITY)
  );
}

it('allows under two demands together only what each of them allows', () => {
  fc.assert(
    fc.property(candidates, request, constraints, (given, asked, other) => {
      const under = (demands: Constraints) =>
        new Set(
          given.filter((c) => obstacle(c, { ...asked, constraints: demands }) === undefined).map((c) => c.id),
        );
      const both = under(strictest(asked.constraints, other));
      const each = [under(asked.constraints), under(other)];
      for (const { id } of given) expect(both.has(id)).toBe(each.every((ids) => ids.has(id)));
    }),
  );
});

it('names what stands in the way', () => {
  const cloud: Candidate = { id: 'cloud', ready: true, inFlight: 0, privacy: 'public', region: 'us' };
  const asked = (c: Constraints) => ({ ...UNKNOWN_REQUEST, constraints: c });
  expect(obstacle(cloud, asked({ privacy: 'local' }))).toEqual({ kind: 'privacy' });
  expect(obstacle(cloud, asked({ regions: ['cn'] }))).toEqual({ kind: 'region' });
  const plain = { ...cloud, capabilities: new Set<string>() };
  expect(obstacle(plain, { ...UNKNOWN_REQUEST, needs: ['tools'] })).toEqual({
    kind: 'capability',
    missing: 'tools',
  });
});

it('counts in what a request may cost all that it is charged for', () => {
  const price = { inputUsdPerMTok: 1, cachedInputUsdPerMTok: 0, outputUsdPerMTok: 10 };
  const cloud: Candidate = { id: 'cloud', ready: true, inFlight: 0, price };
  const fits = (candidate: Candidate, more: Partial<RequestFeatures>) =>
    obstacle(candidate, {
      ...UNKNOWN_REQUEST,
      promptTokens: 100,
      ...more,
      constraints: { maxCostUsd: 0.002 },
    }) === undefined;
  expect(fits(cloud, { maxOutputTokens: 100 })).toBe(true);
  expect(fits(cloud, { likelyOutputTokens: 300 })).toBe(false);
  expect(fits(cloud, { maxOutputTokens: 100, likelyOutputTokens: 200 })).toBe(false);
  expect(fits({ ...cloud, price: { ...price, usdPerRequest: 0.003 } }, {})).toBe(false);
  const seeing = { ...cloud, price: { ...price, usdPerImage: 0.001 } };
  expect(fits(seeing, { media: { images: 1, audioSeconds: 0 } })).toBe(true);
  expect(fits(seeing, { media: { images: 2, audioSeconds: 0 } })).toBe(false);
});

import { describe, expect, it } from 'vitest';
import type { Canary } from '../../core/deployment.ts';
import { CanaryWatch } from './canary-watch.ts';

const SETTINGS: Canary = { id: 'new/m', share: 0.05, maxErrorRate: 0.05, maxTtftRatio: 1.5, minRequests: 50 };

/** Reproducible, uniform in [0, 1). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Behaviour {
  readonly errorRate: number;
  readonly ttftMs: number;
}

/** The canary's requests until it was found out; undefined: it was not, in so many requests to the model. */
function trial(
  requests: number,
  seed: number,
  { canary, others }: { canary: (at: number) => Behaviour; others: (at: number) => Behaviour },
  settings = SETTINGS,
) {
  const watch = new CanaryWatch(settings);
  const random = randomFrom(seed);
  for (let at = 0; at < requests; at += 1) {
    const side = random() < settings.share ? 'canary' : 'others';
    const { errorRate, ttftMs } = (side === 'canary' ? canary : others)(at);
    const promptBytes = 2 ** (8 + 8 * random());
    const noise = Math.exp(0.8 * (random() + random() + random() - 1.5));
    if (random() < errorRate) watch.outcome(side, true);
    else {
      watch.began(side, true, promptBytes, ttftMs * noise * (1 + promptBytes / 10_000), at * 10);
      watch.outcome(side, false);
    }
    const found = watch.verdict();
    if (found) return { ...found, requests: watch.figures().requests };
  }
  return undefined;
}

const good = () => ({ errorRate: 0.02, ttftMs: 100 });
const seeds = Array.from({ length: 4 }, (_, i) => i + 1);

describe('a canary', () => {
  it('is left alone while it does as well as the others, by luck or not', () => {
    const found = seeds.map((seed) => trial(20_000, seed, { canary: good, others: good }));
    expect(found.filter((one) => one !== undefined)).toEqual([]);
  });

  it('is not judged by a few requests, however bad they are', () => {
    const broken = () => ({ errorRate: 1, ttftMs: 100 });
    for (const seed of seeds) {
      const found = trial(20_000, seed, { canary: broken, others: good });
      expect(found).toMatchObject({ reason: 'errors', requests: 50 });
    }
  });

  it('is found out when it fails more often than is allowed', () => {
    const worse = () => ({ errorRate: 0.15, ttftMs: 100 });
    for (const seed of seeds) {
      expect(trial(40_000, seed, { canary: worse, others: good })).toMatchObject({ reason: 'errors' });
    }
  });

  it('is found out when its replies begin late, whatever the prompts', () => {
    const slow = () => ({ errorRate: 0.02, ttftMs: 220 });
    for (const seed of seeds) {
      const found = trial(20_000, seed, { canary: slow, others: good });
      expect(found?.reason).toBe('latency');
      expect(found!.requests).toBeLessThan(300);
    }
  });

  it('may be a little slower', () => {
    const slower = () => ({ errorRate: 0.02, ttftMs: 120 });
    for (const seed of seeds) expect(trial(20_000, seed, { canary: slower, others: good })).toBeUndefined();
  });

  it('is not blamed for what befalls all at once, not even when it is over', () => {
    const incident = (at: number) =>
      at % 5_000 < 1_000 ? { errorRate: 0.6, ttftMs: 900 } : { errorRate: 0.01, ttftMs: 100 };
    for (const seed of seeds)
      expect(trial(20_000, seed, { canary: incident, others: incident })).toBeUndefined();
  });

  it('is found out when it becomes bad after it was good', () => {
    const later = (at: number) => (at < 10_000 ? good() : { errorRate: 0.5, ttftMs: 100 });
    for (const seed of seeds)
      expect(trial(20_000, seed, { canary: later, others: good })).toMatchObject({ reason: 'errors' });
  });

  it('is not judged where there is nobody to compare it with', () => {
    const watch = new CanaryWatch(SETTINGS);
    for (let i = 0; i < 1_000; i += 1) watch.outcome('canary', true);
    expect(watch.verdict()).toBeUndefined();
  });
});

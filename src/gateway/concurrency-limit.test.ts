import { beforeEach, describe, expect, it } from 'vitest';
import { ConcurrencyLimit } from './concurrency-limit.ts';

let nowMs: number;
let limit: ConcurrencyLimit;

beforeEach(() => {
  nowMs = 0;
  limit = new ConcurrencyLimit({ initial: 64, max: 100 }, () => nowMs);
});

/** A window of answers to requests that began just now. */
function window(
  observedMs: number,
  predictedMs = 1_000,
  kind: 'first-token' | 'whole' = 'first-token',
): void {
  nowMs += 1_000;
  for (let i = 0; i < 16; i += 1) limit.answered(kind, observedMs, predictedMs, nowMs);
}

function fill(): void {
  while (limit.free) limit.take();
}

describe('ConcurrencyLimit', () => {
  it('has room for as many as it says', () => {
    fill();
    expect(limit.inFlight).toBe(64);
    limit.give();
    expect(limit.free).toBe(true);
  });

  it('shrinks while answers take far longer than predicted, to one at the least', () => {
    window(10_000);
    expect(limit.limit).toBeLessThan(55);
    for (let i = 0; i < 40; i += 1) window(100_000);
    expect(limit.limit).toBe(1);
  });

  it('grows again, as far as it may, when it is what holds requests back', () => {
    for (let i = 0; i < 10; i += 1) window(10_000);
    const shrunk = limit.limit;
    for (let i = 0; i < 60; i += 1) {
      fill();
      window(1_000);
    }
    expect(shrunk).toBeLessThan(20);
    expect(limit.limit).toBe(100);
  });

  it('does not grow while nobody needs it', () => {
    for (let i = 0; i < 10; i += 1) window(1_000);
    expect(limit.limit).toBe(64);
  });

  it('is not moved by single late answers', () => {
    nowMs += 1_000;
    for (let i = 0; i < 16; i += 1) limit.answered('first-token', i < 7 ? 60_000 : 900, 1_000, nowMs);
    expect(limit.limit).toBe(64);
  });

  it('leaves fast backends in peace where nobody feels the difference', () => {
    for (let i = 0; i < 10; i += 1) window(200, 2);
    expect(limit.limit).toBe(64);
  });

  it('takes what began before the last cut for what it is: old', () => {
    window(10_000);
    const cut = limit.limit;
    for (let i = 0; i < 64; i += 1) limit.answered('first-token', 10_000, 1_000, nowMs - 1);
    expect(limit.limit).toBe(cut);
  });

  it('knows that whole replies differ in length', () => {
    window(5_000, 1_000, 'whole');
    expect(limit.limit).toBe(64);
    window(20_000, 1_000, 'whole');
    expect(limit.limit).toBeLessThan(64);
  });

  it('shrinks below what is there when the backend says that it is too much', () => {
    for (let i = 0; i < 20; i += 1) limit.take();
    nowMs += 1;
    limit.refused(nowMs);
    expect(limit.limit).toBe(18);
    limit.refused(0);
    expect(limit.limit).toBe(18);
  });

  it('finds what a backend with ten places takes, from above and from below', () => {
    for (const initial of [64, 2]) {
      limit = new ConcurrencyLimit({ initial, max: 100 }, () => nowMs);
      for (let round = 0; round < 200; round += 1) {
        // Ten are served at once in 1 s; whoever is beyond waits for his turn.
        const startedAtMs = nowMs;
        const places = limit.limit;
        fill();
        for (let i = 0; i < places; i += 1) limit.give();
        nowMs += 1_000;
        for (let i = 0; i < places; i += 1)
          limit.answered('first-token', 1_000 * (1 + Math.floor(i / 10)), 1_000, startedAtMs + 0.5);
      }
      expect(limit.limit).toBeGreaterThanOrEqual(10);
      expect(limit.limit).toBeLessThanOrEqual(45);
    }
  });
});

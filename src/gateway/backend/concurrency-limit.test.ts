import { beforeEach, describe, expect, it } from 'vitest';
import { ConcurrencyLimit } from './concurrency-limit.ts';

let nowMs: number;
let limit: ConcurrencyLimit;

beforeEach(() => {
  nowMs = 0;
  limit = new ConcurrencyLimit({ initial: 64, max: 100 }, () => nowMs);
});

/** A window of answers to requests that began just now, as many being inside as may. */
function window(
  observedMs: number,
  predictedMs = 1_000,
  kind: 'first-token' | 'whole' = 'first-token',
): void {
  nowMs += 1_000;
  const taken = fill();
  for (let i = 0; i < 16; i += 1) limit.answered(kind, observedMs, predictedMs, begun(nowMs));
  for (let i = 0; i < taken; i += 1) limit.give();
}

/** A request that began then, with as many others inside as are now. */
function begun(startedAtMs: number, among = limit.inFlight) {
  return { startedAtMs, among };
}

/** Answers of a backend that does ten at once in 1 s, and has the others wait. */
function windowOfTen(): void {
  window(Math.max(1_000, limit.limit * 100));
}

function fill(): number {
  let taken = 0;
  for (; limit.free; taken += 1) limit.take();
  return taken;
}

describe('ConcurrencyLimit', () => {
  it('has room for as many as it says', () => {
    fill();
    expect(limit.inFlight).toBe(64);
    limit.give();
    expect(limit.free).toBe(true);
  });

  it('shrinks while answers take far longer than predicted, to what the backend can do', () => {
    window(10_000);
    expect(limit.limit).toBe(32);
    for (let i = 0; i < 40; i += 1) windowOfTen();
    expect(limit.limit).toBeLessThan(30);
    for (let i = 0; i < 40; i += 1) window(Math.max(100, limit.limit * 2_500));
    expect(limit.limit).toBeLessThanOrEqual(2);
  });

  it('takes a cut back that did not help, and calls the slowness normal for a while', () => {
    for (const slowMs of [20_000, 60_000]) {
      window(slowMs);
      expect(limit.limit).toBe(32);
      for (let i = 0; i < 10; i += 1) window(slowMs);
      expect(limit.limit).toBe(64);
    }
    nowMs += 600_000;
    window(20_000);
    expect(limit.limit).toBe(32);
  });

  it('shrinks from how many were there, not from a limit that nobody reached', () => {
    limit = new ConcurrencyLimit({ initial: 256, max: 512 }, () => nowMs);
    for (let i = 0; i < 40; i += 1) limit.take();
    for (let i = 0; i < 16; i += 1) limit.answered('first-token', 10_000, 1_000, begun(nowMs));
    expect(limit.limit).toBe(20);
  });

  it('shrinks no further for what came before those had left that are too many', () => {
    fill();
    nowMs += 1_000;
    for (let i = 0; i < 16; i += 1) limit.answered('first-token', 10_000, 1_000, begun(nowMs, 20));
    expect(limit.limit).toBe(10);
    expect(limit.isExceeded).toBe(true);
    nowMs += 1_000;
    for (let i = 0; i < 16; i += 1) limit.answered('first-token', 10_000, 1_000, begun(nowMs, 18));
    expect(limit.limit).toBe(9);
  });

  it('grows again, as far as it may, when it is what holds requests back', () => {
    for (let i = 0; i < 10; i += 1) windowOfTen();
    const shrunk = limit.limit;
    for (let i = 0; i < 60; i += 1) {
      fill();
      window(1_000);
    }
    expect(shrunk).toBeLessThan(30);
    expect(limit.limit).toBe(100);
  });

  it('waits for the effect of a growth before it grows on', () => {
    limit = new ConcurrencyLimit({ initial: 8, max: 100 }, () => nowMs);
    const answers = (among: number) => {
      for (let i = 0; i < 16; i += 1) limit.answered('first-token', 500, 1_000, begun(0, among));
    };
    answers(8);
    expect(limit.limit).toBe(16);
    for (const among of [8, 8, 14]) answers(among);
    expect(limit.limit).toBe(16);
    answers(15);
    expect(limit.limit).toBe(32);
  });

  it('does not grow while nobody needs it', () => {
    for (let i = 0; i < 200; i += 1) limit.answered('first-token', 1_000, 1_000, begun(nowMs));
    expect(limit.limit).toBe(64);
  });

  it('is not moved by single late answers', () => {
    nowMs += 1_000;
    for (let i = 0; i < 16; i += 1) limit.answered('first-token', i < 7 ? 60_000 : 900, 1_000, begun(nowMs));
    expect(limit.limit).toBe(64);
  });

  it('leaves fast backends in peace where nobody feels the difference', () => {
    for (let i = 0; i < 10; i += 1) window(200, 2);
    expect(limit.limit).toBeGreaterThanOrEqual(64);
  });

  it('takes what began before the last cut for what it is: old', () => {
    window(10_000);
    const cut = limit.limit;
    for (let i = 0; i < 64; i += 1) limit.answered('first-token', 10_000, 1_000, begun(nowMs - 1));
    expect(limit.limit).toBe(cut);
  });

  it('knows that whole replies differ in length', () => {
    window(3_000, 1_000);
    expect(limit.limit).toBeLessThan(64);
    limit = new ConcurrencyLimit({ initial: 64, max: 100 }, () => nowMs);
    window(3_000, 1_000, 'whole');
    expect(limit.limit).toBeGreaterThanOrEqual(64);
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

  it('is not exceeded where the backend itself says that it is too much', () => {
    fill();
    limit.refused(nowMs);
    expect(limit.inFlight).toBeGreaterThan(limit.limit);
    expect(limit.isExceeded).toBe(false);
  });

  it('shrinks to what would be in time while requests have no answer, but not to few', () => {
    limit.suspect({ lateness: 2, among: 90 });
    expect(limit.limit).toBe(45);
    limit.suspect({ lateness: 2.1, among: 90 });
    expect(limit.limit).toBe(45);
    limit.suspect({ lateness: 20, among: 90 });
    expect(limit.limit).toBe(32);
  });

  it.each([
    ['is back where it was once their answers are seen to have been that long', 900, 64],
    ['stays there where their answers were late', 9_000, 32],
  ])('%s', (_, observedMs, expected) => {
    const before = begun(nowMs);
    nowMs += 10_000;
    limit.suspect({ lateness: 3, among: 60 });
    expect(limit.limit).toBe(32);
    for (let i = 0; i < 8; i += 1) limit.answered('whole', observedMs, 1_000, before);
    expect(limit.limit).toBe(expected);
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
          limit.answered(
            'first-token',
            1_000 * (1 + Math.floor(i / 10)),
            1_000,
            begun(startedAtMs + 0.5, places),
          );
      }
      expect(limit.limit).toBeGreaterThanOrEqual(10);
      expect(limit.limit).toBeLessThanOrEqual(45);
    }
  });
});

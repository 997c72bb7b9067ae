import { beforeEach, describe, expect, it } from 'vitest';
import { Timing } from './model-timings.ts';
import { type Awaited, Overdue } from './overdue.ts';

const USUAL_MS = 1_000;
/** Three times what is predicted is in time, and half as long again is overdue. */
const OVERDUE_MS = 4_600;

let nowMs: number;
let timing: Timing;
let overdue: Overdue;

beforeEach(() => {
  nowMs = 0;
  timing = new Timing(() => nowMs);
  for (let i = 0; i < 40; i += 1) timing.observe(100, USUAL_MS, nowMs);
  overdue = new Overdue((_, predictedMs) => 3 * predictedMs);
});

function begin(count: number, sizeBytes = 100): Awaited[] {
  const entry = { startedAtMs: nowMs, among: count };
  const all = Array.from({ length: count }, (): Awaited => {
    return { entry, timing, sizeBytes, kind: 'whole', fate: 'unknown' };
  });
  for (const request of all) overdue.began(request);
  return all;
}

function settle(requests: readonly Awaited[], fate: Awaited['fate']): void {
  for (const request of requests) request.fate = fate;
}

function lookAfter(ms: number) {
  nowMs += ms;
  return overdue.look(nowMs);
}

describe('Overdue', () => {
  it('finds requests that should have been answered long ago, and how late they are by now', () => {
    begin(40);
    expect(lookAfter(OVERDUE_MS - 200)).toBeUndefined();
    expect(lookAfter(200)?.lateness).toBeCloseTo(1.53, 1);
    expect(lookAfter(OVERDUE_MS)).toMatchObject({ among: 40 });
    expect(lookAfter(100)?.lateness).toBeGreaterThan(3);
  });

  it('finds nothing in what has been answered in the meantime, however late', () => {
    const all = begin(16);
    expect(lookAfter(OVERDUE_MS)).toBeDefined();
    settle(all.slice(0, 9), 'answered');
    expect(lookAfter(OVERDUE_MS)).toBeUndefined();
  });

  it('is not misled by long replies, which are always many of those inside', () => {
    const slow: Awaited[] = [];
    for (let second = 0; second < 60; second += 1) {
      const [long, ...short] = begin(8);
      slow.push(long!);
      expect(lookAfter(1_000)).toBeUndefined();
      settle(short, 'answered');
    }
    expect(slow.filter(({ fate }) => fate === 'unknown')).toHaveLength(60);
  });

  it('takes as long as replies have been of late for usual', () => {
    for (let i = 0; i < 4; i += 1) timing.observe(100, 20 * USUAL_MS, nowMs);
    begin(16);
    expect(lookAfter(2 * OVERDUE_MS)).toBeUndefined();
    expect(lookAfter(8 * OVERDUE_MS)).toBeDefined();
  });

  it('expects nothing of a prompt unlike any before', () => {
    begin(32, 1_000_000);
    expect(lookAfter(10 * OVERDUE_MS)).toBeUndefined();
  });

  it('forgets those that have left', () => {
    settle(begin(32), 'gone');
    expect(lookAfter(OVERDUE_MS)).toBeUndefined();
    begin(32);
    expect(lookAfter(OVERDUE_MS)).toBeDefined();
  });
});

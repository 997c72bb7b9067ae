import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { AppError } from '../../core/error.ts';
import { FairQueue } from './fair-queue.ts';
import { Line } from './line.ts';

const MAX_WAIT_MS = 10_000;
const ANSWER_MS = 200;
const CAPACITY = 100;

let line: Line;
const refused: { afterMs: number; error: unknown }[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  refused.length = 0;
  const now = () => performance.now();
  const bounds = { capacity: CAPACITY, maxWaitMs: MAX_WAIT_MS, foresees: true };
  line = new Line(new FairQueue({ ...bounds, now }), now);
});

afterEach(() => {
  vi.useRealTimers();
});

/** A request that never finds a place. */
function come(): void {
  const cameAtMs = performance.now();
  const request = { caller: undefined, deadlineAtMs: undefined };
  const wish = { request, claim: () => undefined, signal: new AbortController().signal, onWaited: () => {} };
  line
    .stand(wish, { capacity: CAPACITY, answerMs: ANSWER_MS })
    .catch((error: unknown) => refused.push({ afterMs: performance.now() - cameAtMs, error }));
}

it('turns away at once, where nobody is served and all before have waited in vain', async () => {
  for (let i = 0; i < 130; i += 1) {
    come();
    await vi.advanceTimersByTimeAsync(100);
  }
  const inVain = refused.filter(({ afterMs }) => afterMs >= MAX_WAIT_MS);
  const atOnce = refused.filter(({ afterMs }) => afterMs === 0);
  expect(inVain.length).toBeGreaterThan(5);
  expect(atOnce.length).toBeGreaterThan(10);
  for (const { error } of atOnce)
    expect(error).toMatchObject({ code: 'overloaded' } satisfies Partial<AppError>);
});

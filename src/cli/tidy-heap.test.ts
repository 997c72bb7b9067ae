import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { tidyWhileIdle } from './tidy-heap.ts';

const MIB = 1024 * 1024;
/** As it is found. */
const gateway = { inFlight: 0 };
let ended = 0;
let heapBytes = 0;
/** What a collection leaves. */
let leastBytes = 0;
const done: string[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  gateway.inFlight = 0;
  ended = 0;
  heapBytes = 30 * MIB;
  leastBytes = 20 * MIB;
  done.length = 0;
  tidyWhileIdle(
    { gateway, ended: () => ended },
    {
      heapBytes: () => heapBytes,
      collect() {
        done.push('collected');
        heapBytes = leastBytes;
      },
      async trim() {
        done.push('trimmed');
      },
    },
  );
});
afterEach(() => void vi.useRealTimers());

test('it collects once after the start, and again when the heap has grown', () => {
  vi.advanceTimersByTime(60_000);
  expect(done).toEqual(['collected']);
  heapBytes += 3 * MIB;
  vi.advanceTimersByTime(60_000);
  expect(done).toEqual(['collected']);
  heapBytes += 3 * MIB;
  vi.advanceTimersByTime(5_000);
  expect(done).toEqual(['collected', 'collected', 'trimmed']);
  vi.advanceTimersByTime(60_000);
  expect(new Set(done.slice(2))).toEqual(new Set(['trimmed']));
  expect(done.length).toBeLessThan(10);
});

test('it waits while somebody is served, and until nobody has been for a while', () => {
  gateway.inFlight = 1;
  vi.advanceTimersByTime(60_000);
  gateway.inFlight = 0;
  // Short ones are never seen under way.
  for (let second = 0; second < 60; second += 4) {
    ended += 1;
    vi.advanceTimersByTime(4_000);
  }
  expect(done).toEqual([]);
  vi.advanceTimersByTime(10_000);
  expect(done).toEqual(['collected']);
});

test('what does not become smaller is not collected again and again', () => {
  leastBytes = 100 * MIB;
  heapBytes = leastBytes;
  vi.advanceTimersByTime(60_000);
  expect(done).toEqual(['collected']);
});

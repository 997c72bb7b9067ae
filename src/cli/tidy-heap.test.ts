import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { tidyWhileIdle } from './tidy-heap.ts';

const MIB = 1024 * 1024;
/** As `tidyWhileIdle` finds the process. */
const found = { idle: true, busyShare: 0, heapBytes: 30 * MIB };
let collections = 0;
let trims = 0;
let leftBytes = 20 * MIB;

beforeEach(() => {
  vi.useFakeTimers();
  Object.assign(found, { idle: true, busyShare: 0, heapBytes: 30 * MIB });
  collections = 0;
  trims = 0;
  leftBytes = 20 * MIB;
  tidyWhileIdle({
    isIdle: () => found.idle,
    busyShare: () => found.busyShare,
    heapBytes: () => found.heapBytes,
    collect() {
      collections += 1;
      found.heapBytes = leftBytes;
    },
    async trim() {
      trims += 1;
    },
  });
});
afterEach(() => void vi.useRealTimers());

test('it collects once after the start, and again when the heap has grown', () => {
  vi.advanceTimersByTime(60_000);
  expect([collections, trims]).toEqual([1, 0]);
  found.heapBytes += 3 * MIB;
  vi.advanceTimersByTime(60_000);
  expect(collections).toBe(1);
  found.heapBytes += 3 * MIB;
  vi.advanceTimersByTime(60_000);
  expect([collections, trims]).toEqual([2, 1]);
});

test('it waits while somebody is served, and while there is something else to do', () => {
  found.idle = false;
  vi.advanceTimersByTime(60_000);
  found.idle = true;
  found.busyShare = 0.2;
  vi.advanceTimersByTime(60_000);
  expect(collections).toBe(0);
  found.busyShare = 0.01;
  vi.advanceTimersByTime(2_000);
  expect(collections).toBe(1);
});

test('what does not become smaller is not collected again and again', () => {
  leftBytes = 100 * MIB;
  found.heapBytes = leftBytes;
  vi.advanceTimersByTime(60_000);
  expect(collections).toBe(1);
});

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { tidyWhileIdle } from './tidy-heap.ts';

const MIB = 1024 * 1024;
const MINUTE = 60_000;
/** As it is found. */
const gateway = { inFlight: 0 };
let ended = 0;
let heapBytes = 0;
/** What a collection leaves. */
let leastBytes = 0;
let residentBytes = 100 * MIB;
let favoursMemory: boolean | undefined;
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
      residentBytes: () => residentBytes,
      favour(memory) {
        favoursMemory = memory;
      },
      async trim() {
        done.push('trimmed');
      },
    },
  );
});
afterEach(() => void vi.useRealTimers());

test('it collects once after the start, and again when the heap has grown and nobody has been served for long', () => {
  vi.advanceTimersByTime(MINUTE);
  expect(done).toEqual(['collected']);
  serve();
  heapBytes += 3 * MIB;
  vi.advanceTimersByTime(10 * MINUTE);
  expect(collections()).toBe(1);
  serve();
  heapBytes += 3 * MIB;
  vi.advanceTimersByTime(4 * MINUTE);
  expect(collections()).toBe(1);
  vi.advanceTimersByTime(2 * MINUTE);
  expect(collections()).toBe(2);
  vi.advanceTimersByTime(10 * MINUTE);
  expect(collections()).toBe(2);
});

test('what is beside the heap is given back soon after somebody was served, and after a collection, some times', () => {
  vi.advanceTimersByTime(MINUTE);
  expect(trims()).toBe(0);
  serve();
  heapBytes += 10 * MIB;
  vi.advanceTimersByTime(6_000);
  expect(trims()).toBe(1);
  vi.advanceTimersByTime(MINUTE);
  expect(trims()).toBe(5);
  vi.advanceTimersByTime(10 * MINUTE);
  expect(done.slice(6)).toEqual(['collected', ...Array(5).fill('trimmed')]);
});

test('it waits while somebody is served, and until nobody has been for long', () => {
  gateway.inFlight = 1;
  vi.advanceTimersByTime(10 * MINUTE);
  gateway.inFlight = 0;
  // Short ones are never seen under way.
  for (let minute = 0; minute < 10; minute++) {
    serve();
    vi.advanceTimersByTime(MINUTE);
  }
  expect(collections()).toBe(0);
  vi.advanceTimersByTime(5 * MINUTE);
  expect(collections()).toBe(1);
});

test('what does not become smaller is not collected again and again', () => {
  leastBytes = 100 * MIB;
  heapBytes = leastBytes;
  vi.advanceTimersByTime(20 * MINUTE);
  expect(done).toEqual(['collected']);
});

test('V8 is to favour memory as long as the process is large, also while somebody is served', () => {
  gateway.inFlight = 1;
  vi.advanceTimersByTime(6_000);
  expect(favoursMemory).toBe(false);
  residentBytes = 300 * MIB;
  vi.advanceTimersByTime(5_000);
  expect(favoursMemory).toBe(true);
  residentBytes = 150 * MIB;
  vi.advanceTimersByTime(5_000);
  expect(favoursMemory).toBe(false);
});

function serve(): void {
  ended += 1;
}

function collections(): number {
  return done.filter((what) => what === 'collected').length;
}

function trims(): number {
  return done.filter((what) => what === 'trimmed').length;
}

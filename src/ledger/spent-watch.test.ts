import { afterEach, expect, it } from 'vitest';
import type { SpentTotals } from './spent.ts';
import { SpentWatch, type SpentWatchOptions } from './spent-watch.ts';

const TOTALS: SpentTotals = { key: new Map(), project: new Map(), organization: new Map(), model: new Map() };
let watch: SpentWatch | undefined;

afterEach(() => watch?.close());

function watching(read: SpentWatchOptions['read'], everyMs = 60_000) {
  const seen = { spent: 0, problems: [] as (string | undefined)[] };
  watch = new SpentWatch({
    read,
    nowMs: () => 5,
    onSpent: () => {
      seen.spent += 1;
    },
    onProblem: (problem) => seen.problems.push(problem),
    everyMs,
    retryMs: 1,
  });
  return { watch, seen };
}

it('tries again until the ledger can be read, says so once, and then lets it be', async () => {
  let asked = 0;
  const { watch, seen } = watching(async () => {
    asked += 1;
    if (asked < 4) throw new Error('statement timeout');
    return TOTALS;
  });
  await watch.look();
  expect(watch.latest).toBeUndefined();
  await expect.poll(() => watch.latest).toBe(TOTALS);
  expect(seen).toEqual({ spent: 1, problems: ['statement timeout', undefined] });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(asked).toBe(4);
});

it('never reads twice at a time, however slow the ledger is', async () => {
  let running = 0;
  let most = 0;
  const { watch, seen } = watching(async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 10));
    running -= 1;
    return TOTALS;
  }, 1);
  await Promise.all([watch.look(), watch.look()]);
  await expect.poll(() => seen.spent).toBeGreaterThan(3);
  expect(most).toBe(1);
});

it('takes no amount of yesterday for one of today', async () => {
  const { watch } = watching(async () => TOTALS);
  await watch.look();
  expect(watch.latestOf(86_399_999)).toBe(TOTALS);
  expect(watch.latestOf(86_400_000)).toBeUndefined();
});

it('is waited for until it is known, if there is somebody to ask', async () => {
  let asked = 0;
  const { watch } = watching(async () => {
    asked += 1;
    if (asked < 4) throw new Error('the thread has much to do');
    return TOTALS;
  });
  await watch.look();
  await watch.untilKnown(() => false, 60_000);
  await watch.untilKnown(() => true, 0);
  expect(watch.latest).toBeUndefined();
  await watch.untilKnown(() => true, 60_000);
  expect(watch.latest).toBe(TOTALS);
});

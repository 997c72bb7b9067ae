import { afterEach, expect, it, vi } from 'vitest';
import { eventually, isWhole, serveFleet } from './fleet.ts';

afterEach(() => vi.useRealTimers());

it.each([1, -1])('a clock that jumps by %d h ends no stream, no wait and no cool-down', async (hours) => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const fleet = await serveFleet(
    [
      { ttftMs: 100, itlMs: 20, tokens: 20 },
      { status: 429, retryAfter: '30' },
    ],
    {
      upstream: { concurrency: { initial: 2, max: 2 }, timeouts: { firstByteMs: 5_000, idleMs: 2_000 } },
      limits: { queueTimeoutMs: 5_000, requestTimeoutMs: 10_000 },
    },
  );
  await fleet.ask();
  await eventually('b has been asked', async () => (await fleet.ask()) && fleet.backend('b').coolingMs > 0);
  const asked = Promise.all(Array.from({ length: 4 }, () => fleet.ask()));
  await eventually('some run and some wait', () => fleet.model().queued === 2);
  vi.setSystemTime(Date.now() + hours * 3_600_000);
  expect((await asked).filter(isWhole)).toHaveLength(4);
  expect(fleet.backend('b').coolingMs).toBeGreaterThan(0);
  expect(fleet.fakes[1]?.requests).toHaveLength(1);
  await fleet.idle();
});

import { performance } from 'node:perf_hooks';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { stalledMs, turnTimeMs } from './turn-clock.ts';

function keepBusy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('the time of a turn', () => {
  it('stands still for as long as the turn takes', async () => {
    const before = turnTimeMs();
    keepBusy(5);
    await Promise.resolve();
    expect(turnTimeMs()).toBe(before);
  });

  it('is never older than the turn, and never goes back', async () => {
    let last = turnTimeMs();
    for (let i = 0; i < 50; i += 1) {
      const sinceMs = performance.now();
      await (i % 2 === 0 ? sleep(1) : turn());
      await turn();
      const now = turnTimeMs();
      expect(now).toBeGreaterThanOrEqual(last);
      expect(now).toBeGreaterThanOrEqual(sinceMs);
      expect(now).toBeLessThanOrEqual(performance.now());
      last = now;
    }
  });
});

describe('stalled time', () => {
  it('is what a turn takes, but not what is waited between turns', async () => {
    await turn();
    turnTimeMs();
    const before = stalledMs();
    await sleep(30);
    turnTimeMs();
    expect(stalledMs() - before).toBeLessThan(20);
    const waited = stalledMs();
    keepBusy(30);
    await turn();
    await turn();
    turnTimeMs();
    expect(stalledMs() - waited).toBeGreaterThanOrEqual(25);
  });
});

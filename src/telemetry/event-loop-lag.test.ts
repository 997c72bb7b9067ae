import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { eventLoopLag } from './event-loop-lag.ts';

it('tells how late timers were since it was last asked, and nothing of its own pauses', async () => {
  const registry = new Registry();
  eventLoopLag(registry);
  const seconds = async (name: string) => {
    const metric = await registry.getSingleMetric(`nodejs_eventloop_lag_${name}`)!.get();
    return metric.values[0]!.value;
  };
  const looks = () => new Promise((resolve) => setTimeout(resolve, 250));
  await looks();
  expect(await seconds('seconds')).toBeGreaterThan(0);
  expect(await seconds('min_seconds')).toBeLessThan(0.1);

  const begun = performance.now();
  while (performance.now() - begun < 400);
  await looks();
  await seconds('seconds');
  expect(await seconds('max_seconds')).toBeGreaterThan(0.29);
  expect(await seconds('p99_seconds')).toBeGreaterThan(0.29);

  await looks();
  await seconds('seconds');
  expect(await seconds('max_seconds')).toBeLessThan(0.29);
});

import { createHistogram, performance } from 'node:perf_hooks';
import { Gauge, type Registry } from 'prom-client';

const EVERY_MS = 100;
const NS_PER_MS = 1e6;
const NS_PER_S = 1e9;

/**
 * How late timers are, since the last time that somebody asked: under the names that prom-client gives them. Its own look wakes a process that has
 * nothing to do a hundred times a second, and counts the pause between two looks as lag.
 */
export function eventLoopLag(registry: Registry): void {
  const late = createHistogram();
  let lastNs = 0;
  let lookedAtMs = performance.now();
  setInterval(() => {
    const nowMs = performance.now();
    // A histogram takes whole numbers from 1.
    lastNs = Math.max(1, Math.round((nowMs - lookedAtMs - EVERY_MS) * NS_PER_MS));
    late.record(lastNs);
    lookedAtMs = nowMs;
  }, EVERY_MS).unref();

  const gauge = (name: string, help: string, aggregator: 'average' | 'min' | 'max') =>
    new Gauge({ name: `nodejs_eventloop_lag_${name}`, help, aggregator, registers: [registry] });
  const gauges = {
    min: gauge('min_seconds', 'The least that a timer was late.', 'min'),
    max: gauge('max_seconds', 'The most that a timer was late.', 'max'),
    mean: gauge('mean_seconds', 'The mean of how late timers were.', 'average'),
    stddev: gauge('stddev_seconds', 'The standard deviation of how late timers were.', 'average'),
  };
  const percentiles = [50, 90, 99].map((percent) => ({
    percent,
    gauge: gauge(`p${percent}_seconds`, `The ${percent}th percentile of how late timers were.`, 'average'),
  }));
  new Gauge({
    name: 'nodejs_eventloop_lag_seconds',
    help: 'How late the last timer was.',
    aggregator: 'average',
    registers: [registry],
    collect() {
      if (late.count === 0) return;
      this.set(lastNs / NS_PER_S);
      for (const name of ['min', 'max', 'mean', 'stddev'] as const) gauges[name].set(late[name] / NS_PER_S);
      for (const { percent, gauge } of percentiles) gauge.set(late.percentile(percent) / NS_PER_S);
      late.reset();
    },
  });
}

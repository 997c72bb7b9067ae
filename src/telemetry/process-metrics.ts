import { createRequire } from 'node:module';
import { collectDefaultMetrics, type Registry } from 'prom-client';
import { eventLoopLag } from './event-loop-lag.ts';

type DefaultMetric = (registry: Registry) => void;

/**
 * What prom-client tells of a process and of Node, except the duration of garbage collections: observing one takes
 * Node a tenth of a millisecond, and under load there are dozens a second. prom-client itself gives all of them or
 * none.
 */
export function processMetrics(registry: Registry): void {
  const load = createRequire(import.meta.url);
  for (const name of collectDefaultMetrics.metricsList)
    if (name !== 'gc' && name !== 'eventLoopLag') {
      const register: DefaultMetric = load(`prom-client/lib/metrics/${name}.js`);
      register(registry);
    }
  eventLoopLag(registry);
  // prom-client gives these gauges names that only counters may have.
  for (const kind of ['handles', 'requests', 'resources'])
    registry.removeSingleMetric(`nodejs_active_${kind}_total`);
}

import { Counter, Gauge, type Registry } from 'prom-client';
import type { CanaryRolledBack } from '../core/event.ts';
import type { GatewayReport } from '../core/report.ts';

/** Deployments on trial. */
export function canaryMetrics(
  registry: Registry,
  report: () => GatewayReport,
): (event: CanaryRolledBack) => void {
  const registers = [registry];
  new Gauge({
    name: 'qianmen_canary_share',
    help: 'Of the requests of a model, the share that goes to a deployment on trial; 0 once it is rolled back.',
    labelNames: ['model', 'deployment'],
    // Of several processes the one that has rolled it back counts.
    aggregator: 'min',
    registers,
    collect() {
      this.reset();
      for (const { model, deployment, share } of report().canaries) this.set({ model, deployment }, share);
    },
  });
  const rollbacks = new Counter({
    name: 'qianmen_canary_rollbacks_total',
    help: 'Times that a deployment on trial did worse than the others, by what it did worse: errors, latency.',
    labelNames: ['model', 'deployment', 'reason'],
    registers,
  });
  return ({ model, deployment, reason }) => rollbacks.inc({ model, deployment, reason });
}

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { RequestSettled } from '../core/event.ts';
import type { GatewayReport, ModelReport, ProjectInLine } from '../core/report.ts';

const WAIT_BUCKETS_S = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * Who waits for the deployments of a model, and for how long. Projects are as many as there are tenants: only those with the most in line
 * are shown, a few for each model.
 */
export function queueMetrics(
  registry: Registry,
  report: () => GatewayReport,
): (event: RequestSettled) => void {
  const registers = [registry];
  /** @param aggregator Over processes that each have a line of their own. */
  const perModel = (name: string, help: string, aggregator: Aggregator, read: (m: ModelReport) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['model'],
      aggregator,
      registers,
      collect() {
        this.reset();
        for (const model of report().models) this.set({ model: model.name }, read(model));
      },
    });
  perModel('qianmen_queue_length', 'Requests that wait for a deployment.', 'sum', (m) => m.queued);
  perModel(
    'qianmen_queue_oldest_seconds',
    'How long the request that came first has waited.',
    'max',
    (m) => m.queueAgeMs / 1_000,
  );

  const perProject = (
    name: string,
    help: string,
    aggregator: Aggregator,
    read: (project: ProjectInLine) => number,
  ) =>
    new Gauge({
      name,
      help: `${help} Of the projects with the most in line.`,
      labelNames: ['model', 'project'],
      aggregator,
      registers,
      collect() {
        this.reset();
        for (const { name: model, longestQueues } of report().models)
          for (const project of longestQueues) this.set({ model, project: project.projectId }, read(project));
      },
    });
  perProject('qianmen_queue_project_length', 'Requests of a project in line.', 'sum', (p) => p.queued);
  perProject(
    'qianmen_queue_project_position',
    'The place in line of a request of the project that came now: 1 is served next.',
    'max',
    (p) => p.position,
  );
  perProject(
    'qianmen_queue_project_oldest_seconds',
    'How long the first request of a project has waited.',
    'max',
    (p) => p.waitedMs / 1_000,
  );

  new Counter({
    name: 'qianmen_queue_refused_total',
    help: 'Requests that nobody served: the line was full, or they had waited for too long.',
    labelNames: ['model', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const { name: model, rejected } of report().models)
        for (const reason of ['full', 'timeout'] as const) this.inc({ model, reason }, rejected[reason]);
    },
  });
  new Counter({
    name: 'qianmen_queue_excess_refused_total',
    help: 'Of those: their project had more than its share of the line, while others waited.',
    labelNames: ['model'],
    registers,
    collect() {
      this.reset();
      for (const { name: model, rejected } of report().models) this.inc({ model }, rejected.share);
    },
  });

  const wait = new Histogram({
    name: 'qianmen_queue_wait_seconds',
    help: 'Waiting for a deployment to have room.',
    buckets: WAIT_BUCKETS_S,
    labelNames: ['model'],
    registers,
  });
  return ({ model, queuedMs }) => {
    if (model !== undefined && queuedMs > 0) wait.observe({ model }, queuedMs / 1_000);
  };
}

type Aggregator = 'sum' | 'max';

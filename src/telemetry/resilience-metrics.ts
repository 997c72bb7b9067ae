import { Counter, Gauge, type Registry } from 'prom-client';
import type { RequestSettled } from '../core/event.ts';
import type { BackendReport, GatewayReport, ModelReport } from '../core/report.ts';
import { TPOT_BUCKETS_S, TTFT_BUCKETS_S } from './request-metrics.ts';
import { type HistogramSeries, timedIn } from './series.ts';

const BREAKER_STATES = ['closed', 'open', 'half-open'] as const;

/** How the gateway protects requests from upstreams, and upstreams from requests. */
export function resilienceMetrics(
  registry: Registry,
  report: () => GatewayReport,
): (event: RequestSettled) => void {
  const registers = [registry];
  const perModel = (name: string, help: string, read: (model: ModelReport) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['model'],
      registers,
      collect() {
        this.reset();
        for (const model of report().models) this.set({ model: model.name }, read(model));
      },
    });
  perModel('qianmen_retries_in_flight', 'Retries whose reply has not begun.', (m) => m.retrying);
  perModel('qianmen_retries_waiting', 'Failed requests that wait for their turn.', (m) => m.retriesWaiting);
  perModel('qianmen_retry_budget', 'Retries that may be in flight at once.', (m) => m.retryBudget);

  const perBackend = (name: string, help: string, read: (backend: BackendReport) => number | undefined) =>
    new Gauge({
      name,
      help,
      labelNames: ['backend'],
      registers,
      collect() {
        this.reset();
        for (const backend of report().backends) {
          const value = read(backend);
          if (value !== undefined) this.set({ backend: backend.name }, value);
        }
      },
    });
  perBackend('qianmen_backend_concurrency_limit', 'Requests to have inside it at once.', (b) => b.limit);
  perBackend(
    'qianmen_backend_shared_limit',
    'With so many inside it, projects that have more than their share there wait while others are active.',
    (b) => b.held,
  );
  perBackend('qianmen_backend_ejected', '1 while it is left alone for being slow.', (b) =>
    Number(b.ejectedMs > 0),
  );
  perBackend('qianmen_backend_cooling', '1 while it is left alone at its own request.', (b) =>
    Number(b.coolingMs > 0),
  );
  new Gauge({
    name: 'qianmen_backend_breaker_state',
    help: '1 for the state that the circuit breaker is in.',
    labelNames: ['backend', 'state'],
    registers,
    collect() {
      this.reset();
      for (const { name, health } of report().backends) {
        if (health.breaker === undefined) continue;
        for (const state of BREAKER_STATES)
          this.set({ backend: name, state }, Number(state === health.breaker));
      }
    },
  });
  new Counter({
    name: 'qianmen_backend_ejections_total',
    help: 'Times that it was left alone for being far slower than its peers.',
    labelNames: ['backend'],
    registers,
    collect() {
      this.reset();
      for (const { name, ejections } of report().backends) this.inc({ backend: name }, ejections);
    },
  });

  const retries = new Counter({
    name: 'qianmen_retries_total',
    help: 'Attempts after a failed one, by where they went.',
    labelNames: ['model', 'backend'],
    registers,
  });
  const hedges = new Counter({
    name: 'qianmen_hedges_total',
    help: 'Second attempts for late replies, by where they went and by result: won, lost, failed.',
    labelNames: ['model', 'backend', 'result'],
    registers,
  });
  const observeLatency = backendLatency(registry);
  return (event) => {
    const { model, attempts } = event;
    if (model === undefined) return;
    observeLatency(event);
    for (const { kind, lost, code, backend } of attempts) {
      if (kind === 'retry') retries.inc({ model, backend });
      if (kind === 'hedge')
        hedges.inc({ model, backend, result: lost ? 'lost' : code === undefined ? 'won' : 'failed' });
    }
  };
}

/** Of the backend alone: without the queue, and without what other attempts took. */
function backendLatency(registry: Registry): (event: RequestSettled) => void {
  const ttft = timedIn(registry, {
    name: 'qianmen_backend_time_to_first_token_seconds',
    help: 'From the request to a backend to the first token of its stream.',
    buckets: TTFT_BUCKETS_S,
  });
  const tpot = timedIn(registry, {
    name: 'qianmen_backend_time_per_output_token_seconds',
    help: 'Mean per stream of a backend, after the first token.',
    buckets: TPOT_BUCKETS_S,
  });
  const known = new Map<string, { ttft: HistogramSeries; tpot: HistogramSeries }>();
  const seriesOf = (backend: string) => {
    let series = known.get(backend);
    if (series === undefined) {
      series = { ttft: ttft({ backend }), tpot: tpot({ backend }) };
      known.set(backend, series);
    }
    return series;
  };
  return ({ stream, attempts, tpotMs }) => {
    const answered = stream ? attempts.find(({ code, lost }) => code === undefined && !lost) : undefined;
    if (answered === undefined) return;
    const series = seriesOf(answered.backend);
    series.ttft.observe(answered.durationMs / 1_000);
    if (tpotMs !== undefined) series.tpot.observe(tpotMs / 1_000);
  };
}

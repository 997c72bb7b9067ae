import {
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import type { Deployment } from '../core/deployment.ts';
import type { ConfigReloaded, EncoderBatched, EngineStepped, GatewayEvent } from '../core/event.ts';
import type { GatewayReport } from '../core/report.ts';
import { canaryMetrics } from './canary-metrics.ts';
import { type LocalMemory, localModelMetrics } from './local-model-metrics.ts';
import { type Accounts, accountMetrics, moneyMetrics } from './money-metrics.ts';
import { processMetrics } from './process-metrics.ts';
import { providerMetrics } from './provider-metrics.ts';
import { queueMetrics } from './queue-metrics.ts';
import { requestMetrics, TPOT_BUCKETS_S, TTFT_BUCKETS_S } from './request-metrics.ts';
import { resilienceMetrics } from './resilience-metrics.ts';

const UP = 'qianmen_backend_up';
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128];

export interface Scrape {
  readonly contentType: string;
  readonly body: string;
}

export interface Metrics {
  readonly observe: (event: GatewayEvent) => void;
  readonly scrape: () => Promise<Scrape>;
  /** The same as data, to be added up with other processes'. */
  readonly snapshot: () => Promise<MetricObjectWithValues<MetricValue<string>>[]>;
}

/**
 * Prometheus metrics, under the names that the README has. State that can be asked for (in-flight, health, queue) is read
 * at scrape time; labels are bounded: models and backends come from the configuration, codes from the error catalogue.
 */
export function createMetrics(options: {
  readonly backends: () => readonly Deployment['backend'][];
  /** Backends that finish what they have begun. One may bear the name of its replacement. */
  readonly leaving: () => readonly Deployment['backend'][];
  readonly inFlight: () => number;
  readonly report: () => GatewayReport;
  readonly localMemory: () => LocalMemory;
  readonly accounts: () => Accounts;
}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  processMetrics(registry);

  new Gauge({
    name: 'qianmen_requests_in_flight',
    help: 'Requests that have been accepted and not yet settled.',
    registers,
    collect() {
      this.set(options.inFlight());
    },
  });
  const perBackend = (name: string, help: string, read: (backend: Deployment['backend']) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['backend', 'kind'],
      // Of several processes the one that sees it down counts.
      aggregator: name === UP ? 'min' : 'sum',
      registers,
      collect() {
        this.reset();
        for (const backend of options.backends())
          this.inc({ backend: backend.name, kind: backend.kind }, read(backend));
        for (const backend of options.leaving())
          this.inc({ backend: backend.name, kind: backend.kind }, name === UP ? 0 : read(backend));
      },
    });
  perBackend(UP, '1 while the backend takes requests.', (b) => {
    const { state } = b.health();
    // A model that is not in memory takes them, too: they wait for it.
    return state === 'ready' || state === 'unloaded' ? 1 : 0;
  });
  perBackend(
    'qianmen_backend_requests_in_flight',
    'Requests inside the backend.',
    (b) => b.health().inFlight,
  );
  perBackend(
    'qianmen_backend_queue_length',
    'Requests that wait inside the backend.',
    (b) => b.health().queued,
  );

  const refused = new Counter({
    name: 'qianmen_requests_refused_total',
    help: 'Requests turned away before routing, by error code.',
    labelNames: ['code'],
    registers,
  });
  const observeReload = reloadMetrics(registry);
  const observeRequest = requestMetrics(registry);
  const observeMoney = moneyMetrics(registry);
  const observeAlarm = accountMetrics(registry, options.accounts);
  const observeAttempts = resilienceMetrics(registry, options.report);
  const observeQueue = queueMetrics(registry, options.report);
  const observeRollback = canaryMetrics(registry, options.report);
  const shadows = new Counter({
    name: 'qianmen_shadow_requests_total',
    help: 'Copies of requests sent to shadow deployments, by outcome: ok, failed, dropped, cancelled.',
    labelNames: ['model', 'outcome'],
    registers,
  });
  const observeStep = engineMetrics(registry);
  const observeProvider = providerMetrics(registry);
  const observeBatch = encoderMetrics(registry);
  const observeLocalModel = localModelMetrics(registry, options.localMemory);
  return {
    observe(event) {
      if (event.type === 'request-settled') {
        observeRequest(event);
        observeMoney(event);
        observeAttempts(event);
        observeQueue(event);
      } else if (event.type === 'request-refused') refused.inc({ code: event.code });
      else if (event.type === 'engine-stepped') observeStep(event);
      else if (event.type === 'engine-state-changed') observeProvider(event);
      else if (event.type === 'encoder-batched') observeBatch(event);
      else if (event.type === 'config-reloaded') observeReload(event);
      else if (event.type === 'local-model-changed') observeLocalModel(event);
      else if (event.type === 'budget-alarm-raised') observeAlarm(event);
      else if (event.type === 'canary-rolled-back') observeRollback(event);
      else if (event.type === 'shadow-settled') shadows.inc({ model: event.model, outcome: event.outcome });
    },
    snapshot: () => registry.getMetricsAsJSON(),
    async scrape() {
      const body = await registry.metrics();
      return { contentType: registry.contentType, body: body.endsWith('\n') ? body : `${body}\n` };
    },
  };
}

function reloadMetrics(registry: Registry): (event: ConfigReloaded) => void {
  const registers = [registry];
  const failures = new Counter({
    name: 'qianmen_config_reload_failures_total',
    help: 'Configurations that were refused, the last good one staying.',
    aggregator: 'max',
    registers,
  });
  const success = new Gauge({
    name: 'qianmen_config_last_reload_success',
    help: '1 if the configuration that was last read is the one in use.',
    aggregator: 'min',
    registers,
  });
  success.set(1);
  return ({ ok }) => {
    success.set(ok ? 1 : 0);
    if (!ok) failures.inc();
  };
}

function engineMetrics(registry: Registry): (event: EngineStepped) => void {
  const registers = [registry];
  const labelNames = ['engine'];
  const batch = new Histogram({
    name: 'qianmen_engine_batch_size',
    help: 'Sequences decoded together in one step.',
    buckets: BATCH_BUCKETS,
    labelNames,
    registers,
  });
  const step = new Histogram({
    name: 'qianmen_engine_decode_step_seconds',
    help: 'Duration of one decode step.',
    buckets: TPOT_BUCKETS_S,
    labelNames,
    registers,
  });
  const prefill = new Counter({
    name: 'qianmen_engine_prefill_tokens_total',
    help: 'Prompt tokens computed by the engine.',
    labelNames,
    registers,
  });
  const cached = new Counter({
    name: 'qianmen_engine_cached_tokens_total',
    help: 'Prompt tokens copied by the engine instead of computed.',
    labelNames,
    registers,
  });
  const drafted = new Counter({
    name: 'qianmen_engine_drafted_tokens_total',
    help: 'Tokens that the engine guessed and checked, several in one pass.',
    labelNames,
    registers,
  });
  const accepted = new Counter({
    name: 'qianmen_engine_accepted_tokens_total',
    help: 'Guessed tokens that were the ones to come.',
    labelNames,
    registers,
  });
  const cacheBytes = new Gauge({
    name: 'qianmen_engine_prefix_cache_bytes',
    help: 'Memory of computed prompts that the engine keeps.',
    labelNames,
    registers,
  });
  return (event) => {
    const labels = { engine: event.engine };
    cacheBytes.set(labels, event.prefixCacheBytes);
    if (event.batchSize > 0) {
      batch.observe(labels, event.batchSize);
      step.observe(labels, event.decodeMs / 1000);
    }
    if (event.prefillTokens > 0) prefill.inc(labels, event.prefillTokens);
    if (event.cachedTokens > 0) cached.inc(labels, event.cachedTokens);
    if (event.draftedTokens > 0) drafted.inc(labels, event.draftedTokens);
    if (event.acceptedTokens > 0) accepted.inc(labels, event.acceptedTokens);
  };
}

function encoderMetrics(registry: Registry): (event: EncoderBatched) => void {
  const registers = [registry];
  const labelNames = ['encoder'];
  const batch = new Histogram({
    name: 'qianmen_encoder_batch_size',
    help: 'Inputs encoded together in one batch.',
    buckets: [...BATCH_BUCKETS, 256],
    labelNames,
    registers,
  });
  const duration = new Histogram({
    name: 'qianmen_encoder_batch_seconds',
    help: 'Duration of one batch.',
    buckets: TTFT_BUCKETS_S,
    labelNames,
    registers,
  });
  const tokens = new Counter({
    name: 'qianmen_encoder_tokens_total',
    help: 'Tokens computed by kind: input, padding.',
    labelNames: ['encoder', 'kind'],
    registers,
  });
  return ({ encoder, ...event }) => {
    batch.observe({ encoder }, event.inputs);
    duration.observe({ encoder }, event.durationMs / 1000);
    tokens.inc({ encoder, kind: 'input' }, event.tokens);
    tokens.inc({ encoder, kind: 'padding' }, event.paddingTokens);
  };
}

import type { BackendHealth } from '../../core/backend.ts';
import type { BackendReport, GatewayReport, LatencyReport, ModelReport } from '../../core/report.ts';

/** What operators see of an upstream. */
export interface UpstreamView {
  readonly name: string;
  /** The entry of the configuration that it comes from. */
  readonly entry: string;
  /** It is no longer in the configuration, and only finishes what it has begun. */
  readonly leaving: boolean;
  readonly drained: boolean;
  readonly health: BackendHealth;
  /** What it says that it serves; null while it has not said. */
  readonly models: readonly string[] | null;
  /** Models that the configuration wants from it and that it does not list. */
  readonly missingModels: readonly string[];
}

/** What the gateway has done with an upstream, and learnt of it. */
export type Traffic = Omit<BackendReport, 'name' | 'kind' | 'health'>;

export interface UpstreamReport {
  readonly upstreams: readonly (UpstreamView & { readonly traffic: Traffic | null })[];
  readonly models: readonly ModelReport[];
}

/** One of several processes as it sees its upstreams. */
export interface WorkerReport extends UpstreamReport {
  readonly worker: number;
}

/** An upstream that leaves may bear the name of its replacement, whose traffic is known by that name. */
export function upstreamReport(
  upstreams: readonly UpstreamView[],
  { backends, models }: GatewayReport,
): UpstreamReport {
  const trafficOf = new Map(
    backends.map(({ name, kind, health, ...traffic }): [string, Traffic] => [name, traffic]),
  );
  return {
    upstreams: upstreams.map((view) => ({
      ...view,
      traffic: view.leaving ? null : (trafficOf.get(view.name) ?? null),
    })),
    models,
  };
}

const STATES = ['down', 'starting', 'unloaded', 'ready'] as const;

/**
 * Several processes as one. Counts are added up; of what each process finds out for itself (health, cool-down,
 * ejection, quantiles) the worst is shown, and `health.detail` says how many see it so.
 */
export function mergeReports(reports: readonly UpstreamReport[]): UpstreamReport {
  if (reports.length === 1) return reports[0]!;
  const merge = <T>(all: readonly T[], key: (one: T) => string, join: (same: readonly T[]) => T): T[] => {
    const groups = Map.groupBy(all, key);
    return [...groups.values()].map(join);
  };
  return {
    upstreams: merge(
      reports.flatMap(({ upstreams }) => upstreams),
      ({ name, leaving }) => `${name} ${leaving}`,
      (same) => ({
        ...same[0]!,
        health: worstHealth(same.map(({ health }) => health)),
        models: same.find(({ models }) => models !== null)?.models ?? null,
        missingModels: [...new Set(same.flatMap(({ missingModels }) => missingModels))],
        traffic: sumTraffic(same.flatMap(({ traffic }) => traffic ?? [])),
      }),
    ),
    models: merge(
      reports.flatMap(({ models }) => models),
      ({ name }) => name,
      sumModels,
    ),
  };
}

function worstHealth(all: readonly BackendHealth[]): BackendHealth {
  const rank = ({ state }: BackendHealth) => STATES.indexOf(state);
  const worst = all.reduce((a, b) => (rank(b) < rank(a) ? b : a));
  const alike = all.filter(({ state }) => state === worst.state).length;
  const share = alike === all.length ? undefined : `${alike} of ${all.length} workers`;
  const detail = [share, worst.detail].filter((part) => part !== undefined).join(': ');
  return {
    ...worst,
    ...(detail === '' ? {} : { detail }),
    inFlight: sum(all, ({ inFlight }) => inFlight),
    queued: sum(all, ({ queued }) => queued),
  };
}

function sumTraffic(all: readonly Traffic[]): Traffic | null {
  const [first] = all;
  if (first === undefined) return null;
  return {
    ...first,
    inFlight: sum(all, ({ inFlight }) => inFlight),
    lent: first.lent === undefined ? undefined : sum(all, ({ lent }) => lent ?? 0),
    limit: first.limit === undefined ? undefined : sum(all, ({ limit }) => limit ?? 0),
    held: first.held === undefined ? undefined : sum(all, ({ held }) => held ?? 0),
    coolingMs: Math.max(...all.map(({ coolingMs }) => coolingMs)),
    ejectedMs: Math.max(...all.map(({ ejectedMs }) => ejectedMs)),
    ejections: sum(all, ({ ejections }) => ejections),
    retries: sum(all, ({ retries }) => retries),
    hedges: {
      won: sum(all, ({ hedges }) => hedges.won),
      lost: sum(all, ({ hedges }) => hedges.lost),
    },
    ttft: worstLatency(all.map(({ ttft }) => ttft)),
    tpot: worstLatency(all.map(({ tpot }) => tpot)),
  };
}

function worstLatency(all: readonly LatencyReport[]): LatencyReport {
  const worst = (read: (report: LatencyReport) => number | undefined) => {
    const known = all.flatMap((report) => read(report) ?? []);
    return known.length === 0 ? undefined : Math.max(...known);
  };
  return {
    count: sum(all, ({ count }) => count),
    p50Ms: worst(({ p50Ms }) => p50Ms),
    p95Ms: worst(({ p95Ms }) => p95Ms),
    p99Ms: worst(({ p99Ms }) => p99Ms),
  };
}

function sumModels(all: readonly ModelReport[]): ModelReport {
  return {
    ...all[0]!,
    active: sum(all, ({ active }) => active),
    queued: sum(all, ({ queued }) => queued),
    queueAgeMs: Math.max(...all.map(({ queueAgeMs }) => queueAgeMs)),
    longestQueues: longest(all.flatMap(({ longestQueues }) => longestQueues)),
    retrying: sum(all, ({ retrying }) => retrying),
    retriesWaiting: sum(all, ({ retriesWaiting }) => retriesWaiting),
    retryBudget: sum(all, ({ retryBudget }) => retryBudget),
    retries: sum(all, ({ retries }) => retries),
    rejected: {
      full: sum(all, ({ rejected }) => rejected.full),
      timeout: sum(all, ({ rejected }) => rejected.timeout),
      share: sum(all, ({ rejected }) => rejected.share),
    },
    hedges: {
      won: sum(all, ({ hedges }) => hedges.won),
      lost: sum(all, ({ hedges }) => hedges.lost),
      available: sum(all, ({ hedges }) => hedges.available),
    },
  };
}

function longest(all: ModelReport['longestQueues']): ModelReport['longestQueues'] {
  const byProject = Map.groupBy(all, ({ projectId }) => projectId);
  return [...byProject]
    .map(([projectId, lines]) => ({
      projectId,
      queued: sum(lines, ({ queued }) => queued),
      position: Math.max(...lines.map(({ position }) => position)),
      waitedMs: Math.max(...lines.map(({ waitedMs }) => waitedMs)),
    }))
    .sort((a, b) => b.queued - a.queued);
}

function sum<T>(all: readonly T[], read: (one: T) => number): number {
  return all.reduce((total, one) => total + read(one), 0);
}

import { join } from 'node:path';
import { busySeconds, runToEnd } from './processes.ts';
import type { Load } from './scenarios.ts';

/** Percentiles in microseconds. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** What the load generator printed (`loadgen/run.go`), and how much else ran on the machine meanwhile. */
export interface Sample {
  readonly windowS: number;
  readonly requests: number;
  readonly errors: number;
  readonly errorSamples: readonly string[] | null;
  /** Connections that the gateway closed. */
  readonly reconnects: number;
  /** Connections that the gateway opened to the upstream. */
  readonly upstreamConnections: number;
  /** Requests that reached the upstream damaged. */
  readonly upstreamBad: number;
  readonly perSecond: number;
  readonly chunksPerSecond: number;
  readonly latencyUs?: Percentiles;
  readonly ttftUs?: Percentiles;
  readonly chunkDelayUs?: Percentiles;
  readonly cpuS: { readonly self: number; readonly gateway?: number; readonly upstream: number };
  readonly rssBytes: { readonly gateway?: number };
  /** Cores used by processes that are no part of this benchmark. */
  readonly foreignCores: number;
}

export interface Target {
  readonly url: string;
  readonly model: string;
  readonly headers: readonly string[];
  /** Processes of the gateway; none when the load goes straight to the upstream. */
  readonly pids: readonly number[];
}

export interface Bench {
  readonly loadgen: string;
  readonly core: number;
  readonly upstream: { readonly url: string; readonly pid: number };
}

export async function measure(
  bench: Bench,
  target: Target,
  load: Load,
  times: { readonly warmupS: number; readonly windowS: number },
): Promise<Sample> {
  const warmupS = Math.max(times.warmupS, load.leastWarmupS ?? 0);
  const flags: Record<string, string | number | undefined> = {
    url: target.url,
    model: target.model,
    mode: load.mode,
    connections: load.connections,
    rate: load.ratePerSecond,
    warmup: `${warmupS}s`,
    window: `${times.windowS}s`,
    content: load.contentBytes,
    messages: load.messages,
    chunks: load.chunks,
    burst: load.burst,
    'interval-us': load.intervalUs,
  };
  const given = Object.entries(flags).flatMap(([flag, value]) =>
    value === undefined ? [] : [`-${flag}`, String(value)],
  );
  const watched = ['-watch', `upstream=${bench.upstream.pid}`];
  if (target.pids.length > 0) watched.push('-watch', `gateway=${target.pids.join(',')}`);
  const headers = target.headers.flatMap((header) => ['-header', header]);

  const before = await upstreamCounts(bench);
  const busyBefore = busySeconds();
  const ownBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  const output = await runToEnd(
    ['taskset', '-c', String(bench.core), join(bench.loadgen), ...given, ...watched, ...headers],
    { timeoutMs: Math.ceil((warmupS + times.windowS + 30) * 1000) },
  );
  const tookS = (performance.now() - startedAtMs) / 1000;
  const own = process.cpuUsage(ownBefore);
  const busyS = busySeconds() - busyBefore;
  const after = await upstreamCounts(bench);
  const sample = JSON.parse(output) as Omit<Sample, 'foreignCores' | 'upstreamConnections' | 'upstreamBad'>;
  const { self, gateway = 0, upstream } = sample.cpuS;
  // The window's share of the work, taken for the whole run.
  const ours = ((self + gateway + upstream) / sample.windowS) * tookS + (own.user + own.system) / 1e6;
  return {
    ...sample,
    upstreamConnections: after.connections - before.connections,
    upstreamBad: after.bad - before.bad,
    foreignCores: Math.max(0, (busyS - ours) / tookS),
  };
}

async function upstreamCounts({ upstream }: Bench): Promise<{ connections: number; bad: number }> {
  const reply = await fetch(`${upstream.url}/stats`, { signal: AbortSignal.timeout(5_000) });
  return (await reply.json()) as { connections: number; bad: number };
}

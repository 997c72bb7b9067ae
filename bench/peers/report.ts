import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import type { Absent } from './lineup.ts';
import type { Percentiles, Sample } from './measure.ts';
import { type Load, PACED_CHUNKS, PACED_INTERVAL_US, scenarios } from './scenarios.ts';

export interface Measurement {
  readonly scenario: string;
  readonly round: number;
  /** Its name, or `direct` for the load without a gateway. */
  readonly peer: string;
  readonly load: Load;
  readonly sample: Sample | undefined;
  readonly fault: string | undefined;
}

export interface Results {
  readonly at: string;
  readonly machine: string;
  readonly rounds: number;
  readonly windowS: number;
  readonly peers: readonly PeerFacts[];
  readonly absent: readonly Absent[];
  readonly measurements: readonly Measurement[];
}

export interface PeerFacts {
  readonly name: string;
  readonly setup: string;
  readonly version: string;
  /** A second after the start. */
  readonly idleRssBytes: number;
  /** After all loads of the run, and a rest. */
  readonly restedRssBytes: number;
  readonly openRatePerSecond: number;
  readonly pacedStreams: number;
}

const FULL_STREAMS = 200;

/** Of gateways that nobody uses. */
const AT_REST = [
  { title: 'RSS MiB idle, fresh', bytes: (peer: PeerFacts) => peer.idleRssBytes },
  { title: 'RSS MiB idle, after the loads', bytes: (peer: PeerFacts) => peer.restedRssBytes },
] as const;
const SUBJECT = 'qianmen';
const RIVALS = ['node-bare', 'nginx', 'vllm-router', 'sglang-router', 'portkey', 'litellm'];

interface Metric {
  readonly title: string;
  readonly scenario: string;
  readonly higherIsBetter: boolean;
  readonly digits: number;
  /** Undefined: there is no such figure. `direct` is the same load without the gateway, in the same round. */
  value(sample: Sample, direct: Sample | undefined, peer: PeerFacts): number | undefined;
}

const added = (of: (sample: Sample) => Percentiles | undefined, percentile: 'p50' | 'p99') => {
  return (sample: Sample, direct: Sample | undefined) => {
    const mine = of(sample)?.[percentile];
    const base = direct === undefined ? undefined : of(direct)?.[percentile];
    return mine === undefined || base === undefined ? undefined : (mine - base) / 1000;
  };
};
const lower = { higherIsBetter: false } as const;
const higher = { higherIsBetter: true } as const;

const METRICS: readonly Metric[] = [
  { title: 'requests/s, 1 KB', scenario: 'small', ...higher, digits: 0, value: (s) => s.perSecond },
  {
    title: 'CPU µs per request, 1 KB',
    scenario: 'small',
    ...lower,
    digits: 1,
    value: (s) => ((s.cpuS.gateway ?? 0) / s.requests) * 1e6,
  },
  {
    title: 'added p50 ms, fixed rate',
    scenario: 'open',
    ...lower,
    digits: 2,
    value: added((s) => s.latencyUs, 'p50'),
  },
  {
    title: 'added p99 ms, fixed rate',
    scenario: 'open',
    ...lower,
    digits: 2,
    value: added((s) => s.latencyUs, 'p99'),
  },
  {
    title: 'stream chunks/s, bursts',
    scenario: 'burst',
    ...higher,
    digits: 0,
    value: (s) => s.chunksPerSecond,
  },
  {
    title: 'CPU µs per chunk, bursts',
    scenario: 'burst',
    ...lower,
    digits: 2,
    value: (s) => ((s.cpuS.gateway ?? 0) / (s.chunksPerSecond * s.windowS)) * 1e6,
  },
  {
    title: `cores for ${FULL_STREAMS} streams`,
    scenario: 'paced',
    ...lower,
    digits: 2,
    value: (s, _, peer) => ((s.cpuS.gateway ?? 0) / s.windowS) * (FULL_STREAMS / peer.pacedStreams),
  },
  {
    title: 'added TTFT p50 ms',
    scenario: 'paced',
    ...lower,
    digits: 2,
    value: added((s) => s.ttftUs, 'p50'),
  },
  {
    title: 'added TTFT p99 ms',
    scenario: 'paced',
    ...lower,
    digits: 2,
    value: added((s) => s.ttftUs, 'p99'),
  },
  {
    title: 'added chunk delay p50 ms',
    scenario: 'paced',
    ...lower,
    digits: 2,
    value: added((s) => s.chunkDelayUs, 'p50'),
  },
  {
    title: 'added chunk delay p99 ms',
    scenario: 'paced',
    ...lower,
    digits: 2,
    value: added((s) => s.chunkDelayUs, 'p99'),
  },
  {
    title: 'RSS MiB with the streams',
    scenario: 'paced',
    ...lower,
    digits: 0,
    value: (s) => (s.rssBytes.gateway ?? 0) / 2 ** 20,
  },
  { title: 'requests/s, 200 KB', scenario: 'large', ...higher, digits: 0, value: (s) => s.perSecond },
  {
    title: 'CPU µs per request, 200 KB',
    scenario: 'large',
    ...lower,
    digits: 0,
    value: (s) => ((s.cpuS.gateway ?? 0) / s.requests) * 1e6,
  },
];

export function renderReport(results: Results): string {
  const subject = results.peers.find((peer) => peer.name === SUBJECT);
  return [
    '# Gateways side by side',
    `Written by \`node bench/peers/run.ts\` at ${results.at}; not to be edited. [README.md](README.md) tells how it is measured.`,
    `${results.machine}. ${results.rounds} rounds of ${results.windowS} s per figure, the gateways in turn. Medians, with the least and the most in brackets. ` +
      'Machines drift: compare inside one run only.',
    ...noisy(results),
    '## Figures',
    figures(results),
    ...(subject === undefined
      ? []
      : ['## Qianmen against each', ratioNote(results.rounds), ratios(results, subject)]),
    '## Who took part',
    participants(results),
    '## What to know before quoting',
    caveats(results),
    '',
  ].join('\n\n');
}

const QUIET_CORES = 0.1;

function noisy({ measurements }: Results): string[] {
  const cores = foreignCores(measurements);
  if (cores.median <= QUIET_CORES) return [];
  return [
    `**The machine was not quiet: other processes used ${cores.median.toFixed(2)} cores. Rates, latencies and delays below are not worth quoting; CPU per request and RSS roughly are.**`,
  ];
}

function foreignCores(measurements: readonly Measurement[]): { median: number; most: number } {
  const cores = measurements.flatMap(({ sample }) => (sample === undefined ? [] : [sample.foreignCores]));
  return { median: median(cores), most: Math.max(...cores) };
}

function figures({ peers, ...results }: Results): string {
  const rows = METRICS.map((metric) => [
    metric.title,
    ...peers.map((peer) => {
      const fault = faults(results.measurements, peer.name, metric.scenario)[0];
      if (fault !== undefined) return 'failed';
      return spread(
        rounds(results, metric, peer).map(({ value }) => value),
        metric.digits,
      );
    }),
  ]);
  for (const { title, bytes } of AT_REST)
    rows.push([title, ...peers.map((peer) => (bytes(peer) / 2 ** 20).toFixed(0))]);
  return table(['', ...peers.map((peer) => peer.name)], rows);
}

function ratios(results: Results, subject: PeerFacts): string {
  const rivals = RIVALS.flatMap((name) => results.peers.filter((peer) => peer.name === name));
  const rows = METRICS.map((metric) => {
    const mine = new Map(rounds(results, metric, subject).map(({ round, value }) => [round, value]));
    return [
      metric.title,
      ...rivals.map((rival) => {
        const quotients = rounds(results, metric, rival).flatMap(({ round, value }) => {
          const own = mine.get(round);
          // A difference below the noise has no quotient.
          if (own === undefined || own <= 0 || value <= 0) return [];
          return [metric.higherIsBetter ? own / value : value / own];
        });
        return spread(quotients, 2, '×');
      }),
    ];
  });
  for (const { title, bytes } of AT_REST)
    rows.push([title, ...rivals.map((rival) => `${(bytes(rival) / bytes(subject)).toFixed(2)}×`)]);
  return table(['', ...rivals.map((rival) => `against ${rival.name}`)], rows);
}

function ratioNote(count: number): string {
  return `Above 1× Qianmen is the better by that factor, below 1× the worse. Taken inside each round, then the median of ${count}.`;
}

interface RoundValue {
  readonly round: number;
  readonly value: number;
}

function rounds(results: Pick<Results, 'measurements'>, metric: Metric, peer: PeerFacts): RoundValue[] {
  return results.measurements.flatMap(({ scenario, round, peer: name, load, sample, fault }) => {
    if (scenario !== metric.scenario || name !== peer.name || sample === undefined || fault !== undefined)
      return [];
    const direct = results.measurements.find(
      (other) =>
        other.peer === 'direct' &&
        other.scenario === scenario &&
        other.round === round &&
        JSON.stringify(other.load) === JSON.stringify(load),
    );
    const value = metric.value(sample, direct?.sample, peer);
    return value === undefined || !Number.isFinite(value) ? [] : [{ round, value }];
  });
}

function participants({ peers, absent }: Results): string {
  const rows = peers.map((peer) => [peer.name, peer.version, peer.setup]);
  for (const { name, reason } of absent) rows.push([name, '–', `left out: ${reason}`]);
  return table(['gateway', 'version', 'setup'], rows);
}

function caveats(results: Results): string {
  const lines: string[] = [];
  const { measurements, peers } = results;
  for (const { name, saturates, title } of scenarios) {
    const direct = rowsOf(measurements, 'direct', name)
      .map(({ sample }) => sample!)
      .map((sample) => (sample.chunksPerSecond > 0 ? sample.chunksPerSecond : sample.perSecond));
    if (saturates && direct.length > 0) {
      lines.push(
        `Upstream and load generator alone, ${title}: ${spread(direct, 0)} a second on their one core.`,
      );
    }
  }
  for (const peer of peers) {
    for (const { name, saturates } of scenarios) {
      const samples = rowsOf(measurements, peer.name, name).flatMap(({ sample }) => sample ?? []);
      const busy = median(samples.map((s) => (s.cpuS.gateway ?? 0) / s.windowS));
      if (saturates && busy < 0.9) {
        lines.push(
          `${peer.name}, ${name}: its core was busy for ${(busy * 100).toFixed(0)} % only, so the load side or the machine held it back; CPU per request still holds.`,
        );
      }
      const reconnects = samples.reduce((sum, s) => sum + s.reconnects, 0);
      if (reconnects > 0) lines.push(`${peer.name}, ${name}: closed ${reconnects} client connections.`);
      const opened = median(samples.map((s) => s.upstreamConnections));
      const requests = median(samples.map((s) => s.requests));
      if (requests > 0 && opened > Math.max(300, requests / 20)) {
        lines.push(
          `${peer.name}, ${name}: opened ${opened} connections to the upstream for ${requests} requests.`,
        );
      }
      for (const fault of faults(measurements, peer.name, name))
        lines.push(`${peer.name}, ${name}: ${fault}.`);
    }
    if (peer.openRatePerSecond !== 200)
      lines.push(`${peer.name}: fixed rate of ${peer.openRatePerSecond}/s instead of 200/s.`);
    if (peer.pacedStreams !== FULL_STREAMS) {
      lines.push(
        `${peer.name}: ${peer.pacedStreams} paced streams instead of ${FULL_STREAMS}; cores are scaled up, RSS, TTFT and delay are not.`,
      );
    }
  }
  lines.push(
    `Paced streams: ${PACED_CHUNKS} events, one each ${PACED_INTERVAL_US / 1000} ms. Added means: less the same percentile of the same load without a gateway, in the same round.`,
    'RSS adds up the processes of a gateway; pages that they share count once for each.',
  );
  const foreign = foreignCores(measurements);
  lines.push(
    `Other processes used ${foreign.median.toFixed(2)} cores (median; most: ${foreign.most.toFixed(2)}) during the measurements.`,
  );
  return lines.map((line) => `- ${line}`).join('\n');
}

function rowsOf(measurements: readonly Measurement[], peer: string, scenario: string): Measurement[] {
  return measurements.filter((m) => m.peer === peer && m.scenario === scenario && m.sample !== undefined);
}

function faults(measurements: readonly Measurement[], peer: string, scenario: string): string[] {
  return measurements.flatMap((m) =>
    m.peer === peer && m.scenario === scenario && m.fault ? [m.fault] : [],
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : ((sorted[middle - 1] ?? Number.NaN) + sorted[middle]!) / 2;
}

function spread(values: readonly number[], digits: number, unit = ''): string {
  if (values.length === 0) return '–';
  const text = (value: number) => thousands(value.toFixed(digits));
  const middle = `${text(median(values))}${unit}`;
  if (values.length === 1) return middle;
  return `${middle} (${text(Math.min(...values))}–${text(Math.max(...values))})`;
}

function thousands(number: string): string {
  return number.replace(/\B(?=(\d{3})+(?!\d|\.))(?<!\.\d*)/g, ',');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

export function describeMachine(): string {
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  const distribution = /^PRETTY_NAME="(.*)"/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  return `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}, ${memory} GiB, ${distribution}, kernel ${release()}, Node ${process.version}`;
}

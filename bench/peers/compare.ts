/**
 * Checkouts of this project and the bare Node gateway in turns, in short rounds: what a change is worth, within a minute.
 *
 *   node bench/peers/compare.ts [--scenario small,burst] [--rounds 4] [--seconds 1.5] [--door open|keyed|both] [--flags=--cpu-prof] [CHECKOUT[@FLAGS]…]
 *
 * Runs from source, with Node's flags for all and those behind a checkout's @ for that one. Figures are medians; in brackets what they are to the bare gateway's of the same round.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeBare } from './adapters/node-bare.ts';
import { qianmenFrom } from './adapters/qianmen.ts';
import { buildGoPrograms } from './install.ts';
import { faultOf } from './lineup.ts';
import { measure, type Sample, type Target } from './measure.ts';
import { cacheFolder, root } from './paths.ts';
import type { Peer } from './peer.ts';
import { freePorts, processTree, signalAll, stopAll } from './processes.ts';
import { scenarios } from './scenarios.ts';
import { startUpstream } from './upstream-process.ts';

const GATEWAY_CORE = 0;
const LOAD_CORE = 1;
const OF_SCENARIO: Readonly<Record<string, readonly Figure[]>> = {
  small: ['requests/s', 'µs/request'],
  open: ['added p50 ms', 'added p99 ms'],
  burst: ['chunks/s', 'µs/chunk'],
  paced: ['cores', 'ttft p50 ms', 'ttft p99 ms', 'RSS MiB'],
  large: ['requests/s', 'µs/request', 'RSS MiB'],
};
type Figure = keyof typeof FIGURES;
const FIGURES = {
  'requests/s': (s: Sample) => s.perSecond,
  'µs/request': (s: Sample) => ((s.cpuS.gateway ?? 0) * 1e6) / s.requests,
  'added p50 ms': (s: Sample) => (s.latencyUs?.p50 ?? Number.NaN) / 1e3,
  'added p99 ms': (s: Sample) => (s.latencyUs?.p99 ?? Number.NaN) / 1e3,
  'chunks/s': (s: Sample) => s.chunksPerSecond,
  'µs/chunk': (s: Sample) => ((s.cpuS.gateway ?? 0) * 1e6) / (s.chunksPerSecond * s.windowS),
  cores: (s: Sample) => (s.cpuS.gateway ?? 0) / s.windowS,
  'ttft p50 ms': (s: Sample) => (s.ttftUs?.p50 ?? Number.NaN) / 1e3,
  'ttft p99 ms': (s: Sample) => (s.ttftUs?.p99 ?? Number.NaN) / 1e3,
  'RSS MiB': (s: Sample) => (s.rssBytes.gateway ?? 0) / 2 ** 20,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scenario: { type: 'string', default: 'small' },
    rounds: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '1.5' },
    warmup: { type: 'string', default: '0.5' },
    door: { type: 'string', default: 'open' },
    flags: { type: 'string', default: '' },
    'no-bare': { type: 'boolean', default: false },
  },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stopAll().then(() => process.exit(130)));
try {
  await main();
} finally {
  await stopAll();
}

async function main(): Promise<void> {
  const bench = await startUpstream(await buildGoPrograms(), LOAD_CORE);
  const checkouts = positionals.length > 0 ? positionals : [root];
  const flags = words(values.flags);
  const doors = { open: [false], keyed: [true], both: [false, true] }[values.door];
  if (doors === undefined) throw new Error('--door takes open, keyed or both');
  const peers = checkouts.flatMap((checkout) => {
    const [folder = '', own = ''] = checkout.split('@');
    return doors.map((keyed) =>
      qianmenFrom(
        `${checkout}${keyed ? ' (keyed)' : ''}`,
        [...flags, ...words(own), join(resolve(folder), 'src/main.ts')],
        keyed,
      ),
    );
  });
  if (!values['no-bare']) peers.unshift(nodeBare);
  const entrants: { name: string; target: Target; peer: Peer }[] = [];
  for (const [i, peer] of peers.entries()) {
    const folder = join(cacheFolder, 'run', `compare-${i}`);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const [port, sparePort] = (await freePorts(2)) as [number, number];
    const running = await peer.start({
      port,
      sparePort,
      upstreamUrl: bench.upstream.url,
      folder,
      core: GATEWAY_CORE,
    });
    const target = { ...running, pids: processTree(running.pid) };
    entrants.push({ name: peer.name, target, peer });
    signalAll(target.pids, 'SIGSTOP');
  }

  for (const name of values.scenario.split(',')) {
    const scenario = scenarios.find((one) => one.name === name);
    if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
    const rounds: Sample[][] = entrants.map(() => []);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (let turn = 0; turn < entrants.length; turn++) {
        const i = (turn + round) % entrants.length;
        const { target, peer } = entrants[i]!;
        signalAll(target.pids, 'SIGCONT');
        // The first round finds the code cold: V8 takes seconds of full load to be through with it.
        const warmupS = Number(values.warmup) + (round === 0 ? 10 : 0);
        const sample = await measure(bench, target, scenario.load(peer), {
          warmupS,
          windowS: Number(values.seconds),
        });
        signalAll(target.pids, 'SIGSTOP');
        const fault = faultOf(sample);
        if (fault !== undefined) process.stdout.write(`${peer.name}: ${fault}\n`);
        rounds[i]!.push(sample);
      }
    }
    const foreign = median(rounds.flat().map(({ foreignCores }) => foreignCores));
    process.stdout.write(`${name} (others used ${foreign.toFixed(2)} cores)\n`);
    for (const [i, entrant] of entrants.entries()) {
      const texts = OF_SCENARIO[name]!.map((figure) => {
        const of = (samples: readonly Sample[]) => samples.map(FIGURES[figure]);
        const own = of(rounds[i]!);
        const ratio = median(own.map((value, round) => value / of(rounds[0]!)[round]!));
        return `${figure} ${median(own).toFixed(2)} (${ratio.toFixed(2)})`;
      });
      process.stdout.write(`  ${entrant.name.padEnd(16)} ${texts.join('   ')}\n`);
    }
  }
}

function words(text: string): string[] {
  return text.split(' ').filter((word) => word !== '');
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

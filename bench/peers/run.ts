/**
 * Qianmen and other gateways side by side, each alone on one core, before the same upstream.
 *
 *   node bench/peers/run.ts [--only qianmen,nginx] [--rounds 3] [--seconds 8] [--quick]
 *
 * With --in-parts, runs of some scenarios at a time (--scenarios small,burst) add up to one document.
 * Installs what is missing (Linux, Go, Python 3, npm, apt). Writes RESULTS.md and results.json beside itself; with --only
 * or --quick into .cache, as a part is no document. README.md tells how it measures.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { allPeers } from './adapters/all.ts';
import { buildGoPrograms } from './install.ts';
import { type Entrant, faultOf, lineUp, restedRssBytes, taking } from './lineup.ts';
import { type Bench, measure, type Sample, type Target } from './measure.ts';
import { cacheFolder, peersFolder } from './paths.ts';
import { stopAll } from './processes.ts';
import { describeMachine, type Measurement, type Results, renderReport } from './report.ts';
import { type Load, scenarios } from './scenarios.ts';
import { startUpstream } from './upstream-process.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    scenarios: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '8' },
    quick: { type: 'boolean', default: false },
    warmup: { type: 'string', default: '2' },
    'in-parts': { type: 'boolean', default: false },
    'gateway-core': { type: 'string', default: '0' },
    'load-core': { type: 'string', default: '1' },
  },
});
const rounds = values.quick ? 1 : bounded('rounds', values.rounds, 1, 9);
const windowS = values.quick ? 1.5 : bounded('seconds', values.seconds, 1, 60);
const restS = values.quick ? 5 : 30;
const warmupS = values.quick ? 0.5 : bounded('warmup', values.warmup, 0, 60);
const gatewayCore = bounded('gateway-core', values['gateway-core'], 0, 1023);
const loadCore = bounded('load-core', values['load-core'], 0, 1023);
const say = (line: string) => process.stderr.write(`${line}\n`);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    say(`${signal}: ending what was started`);
    void stopAll().then(() => process.exit(130));
  });
}
try {
  await main();
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
} finally {
  await stopAll();
}

async function main(): Promise<void> {
  if (process.platform !== 'linux')
    throw new Error('This benchmark needs Linux: it pins processes and reads /proc.');
  if (availableParallelism() < 2)
    throw new Error('This benchmark needs two cores: one for the gateway, one for the load.');
  const peers = chosen(allPeers, values.only);
  const wanted = chosen(scenarios, values.scenarios);
  const bench = await startUpstream(await buildGoPrograms(), loadCore);
  const { entrants, absent } = await lineUp(bench, peers, {
    core: gatewayCore,
    scenarios: wanted,
    checkS: values.quick ? 0.3 : 1,
    say,
  });
  if (entrants.length === 0) throw new Error('No gateway could be started.');

  const measurements: Measurement[] = [];
  for (const scenario of wanted) {
    const direct = directLoads(entrants.map(({ peer }) => scenario.load(peer)));
    for (let round = 0; round < rounds; round++) {
      say(`${scenario.name}, round ${round + 1} of ${rounds}`);
      for (const load of direct) {
        const target = {
          url: `${bench.upstream.url}/v1/chat/completions`,
          model: 'fake-model',
          headers: [],
          pids: [],
        };
        const sample = await measure(bench, target, load, { warmupS, windowS });
        measurements.push({
          scenario: scenario.name,
          round,
          peer: 'direct',
          load,
          sample,
          fault: faultOf(sample),
        });
      }
      for (const entrant of rotated(entrants, round)) {
        const load = scenario.load(entrant.peer);
        const sample = await taking(entrant, gatewayCore, (target) => attempt(bench, target, load));
        const fault = typeof sample === 'string' ? sample : faultOf(sample);
        if (fault !== undefined) say(`  ${entrant.peer.name}: ${fault}`);
        if (typeof sample !== 'string') say(`  ${entrant.peer.name}: ${brief(sample)}`);
        const kept = typeof sample === 'string' ? undefined : sample;
        measurements.push({
          scenario: scenario.name,
          round,
          peer: entrant.peer.name,
          load,
          sample: kept,
          fault,
        });
      }
    }
  }

  say(`resting for ${restS} s`);
  const rested = await restedRssBytes(entrants, restS);
  const results: Results = {
    at: new Date().toISOString(),
    machine: describeMachine(),
    rounds,
    windowS,
    peers: entrants.map(({ peer, version, idleRssBytes }, i) => ({
      name: peer.name,
      setup: peer.setup,
      version,
      idleRssBytes,
      restedRssBytes: rested[i]!,
      openRatePerSecond: peer.openRatePerSecond,
      pacedStreams: peer.pacedStreams,
    })),
    absent,
    measurements: [...earlierParts(wanted), ...measurements],
  };
  const isWhole = !values.quick && values.only === undefined && values.scenarios === undefined;
  const folder = isWhole || values['in-parts'] ? peersFolder : cacheFolder;
  const report = renderReport(results);
  writeFileSync(join(folder, 'results.json'), JSON.stringify(results, null, 1));
  writeFileSync(join(folder, 'RESULTS.md'), report);
  process.stdout.write(report);
}

/** With --in-parts: what earlier runs measured in other scenarios than these. */
function earlierParts(these: readonly { readonly name: string }[]): readonly Measurement[] {
  const file = join(peersFolder, 'results.json');
  if (!values['in-parts'] || !existsSync(file)) return [];
  const { measurements } = JSON.parse(readFileSync(file, 'utf8')) as Results;
  return measurements.filter(({ scenario }) => !these.some(({ name }) => name === scenario));
}

/** A failed run costs the gateway its figure, not everybody theirs. */
async function attempt(bench: Bench, target: Target, load: Load): Promise<Sample | string> {
  try {
    return await measure(bench, target, load, { warmupS, windowS });
  } catch (error) {
    return (error as Error).message;
  }
}

/** What the same loads give without a gateway, each once. */
function directLoads(loads: readonly Load[]): Load[] {
  return [...new Map(loads.map((load) => [JSON.stringify(load), load])).values()];
}

/** Another one goes first each round, so that drift of the machine favours nobody. */
function rotated(entrants: readonly Entrant[], by: number): readonly Entrant[] {
  const at = by % entrants.length;
  return [...entrants.slice(at), ...entrants.slice(0, at)];
}

function brief({ perSecond, chunksPerSecond, cpuS, windowS: seconds, foreignCores }: Sample): string {
  const cores = (cpuS.gateway ?? 0) / seconds;
  return `${perSecond.toFixed(0)}/s, ${chunksPerSecond.toFixed(0)} chunks/s, ${cores.toFixed(2)} cores, others ${foreignCores.toFixed(2)}`;
}

function chosen<T extends { readonly name: string }>(
  all: readonly T[],
  names: string | undefined,
): readonly T[] {
  if (names === undefined) return all;
  return names.split(',').map((name) => {
    const found = all.find((one) => one.name === name.trim());
    if (!found) throw new Error(`${name} is none of ${all.map((one) => one.name).join(', ')}`);
    return found;
  });
}

function bounded(name: string, given: string, least: number, most: number): number {
  const value = Number(given);
  if (!(value >= least && value <= most)) throw new Error(`--${name} must be from ${least} to ${most}`);
  return value;
}

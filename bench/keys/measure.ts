/**
 * What keys, limits and the ledger cost on the hot path: one gateway without keys, one where every request has a key, is counted against limits, is
 * priced and goes to the ledger (SQLite). Both are built and run as `npm start` does, and relay the same small requests to the same upstream, in turns.
 *
 *   node bench/keys/measure.ts [--rounds 7] [--seconds 3] [--write]
 *
 * Upstream and load generator are those of `bench/peers` (Go needed), so cheap that the gateway's core is the bottleneck: clients that take as much of
 * a core as the gateway does make a reply with limits look dearer than it is, as it has six headers more to read. `--write` keeps the figures in RESULTS.md.
 */
import { cpus } from 'node:os';
import { qianmen, qianmenOpen } from '../peers/adapters/qianmen.ts';
import { taking } from '../peers/lineup.ts';
import { measure, type Sample } from '../peers/measure.ts';
import {
  faultless,
  GATEWAY_CORE,
  lineUpAll,
  median,
  report,
  SETTLE_S,
  small,
  spread,
} from './small-requests.ts';

const NAMES = ['without keys', 'with keys, limits and ledger'] as const;

await report('RESULTS.md', 7, async ({ rounds, seconds }) =>
  render(await compare(rounds, seconds), rounds, seconds),
);

/** The rounds of each, in the order of `NAMES`. @throws Error that says which one does not run, or answers wrongly */
async function compare(rounds: number, windowS: number): Promise<readonly Sample[][]> {
  const { bench, entrants } = await lineUpAll([qianmenOpen, qianmen]);
  const samples: Sample[][] = entrants.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const entrant = entrants[i]!;
      const times = { warmupS: SETTLE_S, windowS };
      const sample = await taking(entrant, GATEWAY_CORE, (target) =>
        measure(bench, target, small.load(entrant.peer), times),
      );
      samples[i]!.push(faultless(NAMES[i]!, sample));
    }
  return samples;
}

function render(taken: readonly Sample[][], rounds: number, seconds: number): string {
  const perSecond = taken.map((samples) => samples.map((sample) => sample.perSecond));
  const micros = taken.map((samples) =>
    samples.map(({ cpuS, requests }) => ((cpuS.gateway ?? 0) * 1e6) / requests),
  );
  const lines = NAMES.map(
    (name, i) => `| ${name} | ${spread(perSecond[i]!, 0)} | ${spread(micros[i]!, 1)} |`,
  );
  const foreign = median(taken.flat().map(({ foreignCores }) => foreignCores));
  return `# What keys, limits and the ledger cost

One gateway without keys and one with them relay the same requests of 1 KB in turns, ${rounds} rounds of ${seconds} s, 32 connections; the
gateway with all its threads, the ledger's too, on one core of ${cpus()[0]?.model.trim()}, upstream and clients on the other. Median (min–max).

| | requests/s | CPU µs per request |
|---|---|---|
${lines.join('\n')}

With keys, round by round: ${ratio(perSecond)} of the throughput, ${ratio(micros)} times the CPU time. Other programs used ${foreign.toFixed(2)} cores.
`;
}

function ratio([open, keyed]: readonly (readonly number[])[]): string {
  return spread(
    keyed!.map((figure, round) => figure / open![round]!),
    2,
  );
}

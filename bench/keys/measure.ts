/**
 * What keys, limits and the ledger cost on the hot path: one gateway without keys, one where every request has a key, is counted against limits, is
 * priced and goes to the ledger (SQLite). Both are built and run as `npm start` does, and relay the same small requests to the same upstream, in turns.
 *
 *   node bench/keys/measure.ts [--rounds 7] [--seconds 3] [--write]
 *
 * Upstream and load generator are those of `bench/peers` (Go needed), so cheap that the gateway's core is the bottleneck: clients that take as much of
 * a core as the gateway does make a reply with limits look dearer than it is, as it has six headers more to read. `--write` keeps the figures in RESULTS.md.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { qianmen, qianmenOpen } from '../peers/adapters/qianmen.ts';
import { buildGoPrograms } from '../peers/install.ts';
import { faultOf, lineUp, taking } from '../peers/lineup.ts';
import { measure, type Sample } from '../peers/measure.ts';
import { stopAll } from '../peers/processes.ts';
import { scenarios } from '../peers/scenarios.ts';
import { startUpstream } from '../peers/upstream-process.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const GATEWAY_CORE = 0;
const LOAD_CORE = 1;
/** V8 takes seconds of full load to compile what is hot. */
const WARM_UP_S = 12;
const SETTLE_S = 0.5;
const NAMES = ['without keys', 'with keys, limits and ledger'] as const;

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stopAll().then(() => process.exit(130)));
try {
  const text = render(await compare());
  process.stdout.write(text);
  if (values.write) writeFileSync(join(import.meta.dirname, 'RESULTS.md'), text);
} finally {
  await stopAll();
}

/** The rounds of each, in the order of `NAMES`. @throws Error that says which one does not run, or answers wrongly */
async function compare(): Promise<readonly Sample[][]> {
  const bench = await startUpstream(await buildGoPrograms(), LOAD_CORE);
  const small = scenarios.find(({ name }) => name === 'small')!;
  const { entrants, absent } = await lineUp(bench, [qianmenOpen, qianmen], {
    core: GATEWAY_CORE,
    scenarios: [small],
    checkS: WARM_UP_S,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  if (absent.length > 0) throw new Error(`${absent[0]!.name}: ${absent[0]!.reason}`);
  const rounds: Sample[][] = entrants.map(() => []);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const entrant = entrants[i]!;
      const load = small.load(entrant.peer);
      const times = { warmupS: SETTLE_S, windowS: Number(values.seconds) };
      const sample = await taking(entrant, GATEWAY_CORE, (target) => measure(bench, target, load, times));
      const fault = faultOf(sample);
      if (fault !== undefined) throw new Error(`${NAMES[i]}: ${fault}`);
      rounds[i]!.push(sample);
    }
  return rounds;
}

function render(rounds: readonly Sample[][]): string {
  const perSecond = rounds.map((samples) => samples.map((sample) => sample.perSecond));
  const micros = rounds.map((samples) =>
    samples.map(({ cpuS, requests }) => ((cpuS.gateway ?? 0) * 1e6) / requests),
  );
  const lines = NAMES.map(
    (name, i) => `| ${name} | ${spread(perSecond[i]!, 0)} | ${spread(micros[i]!, 1)} |`,
  );
  const foreign = median(rounds.flat().map(({ foreignCores }) => foreignCores));
  return `# What keys, limits and the ledger cost

One gateway without keys and one with them relay the same requests of 1 KB in turns, ${values.rounds} rounds of ${values.seconds} s, 32 connections; the
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

function spread(figures: readonly number[], digits: number): string {
  const [middle, least, most] = [median(figures), Math.min(...figures), Math.max(...figures)];
  return `${middle.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

/**
 * What a tenant that sends all it can gives up as soon as another one sends a little: two gateways with keys, one where a second project asks
 * ten times a second, relay the same small requests of the first to a fast upstream, in turns.
 *
 *   node bench/keys/neighbour.ts [--rounds 5] [--seconds 3] [--write]
 *
 * Built and run as `npm start` does, with the upstream and the load generator of `bench/peers` (Go needed). `--write` keeps the figures in NEIGHBOUR.md.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { neighbourKey, qianmen } from '../peers/adapters/qianmen.ts';
import { buildGoPrograms } from '../peers/install.ts';
import { faultOf, lineUp, taking } from '../peers/lineup.ts';
import { type Bench, measure, type Sample } from '../peers/measure.ts';
import { cacheFolder } from '../peers/paths.ts';
import { stopAll } from '../peers/processes.ts';
import { scenarios } from '../peers/scenarios.ts';
import { startUpstream } from '../peers/upstream-process.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const GATEWAY_CORE = 0;
const LOAD_CORE = 1;
const WARM_UP_S = 12;
/** The first moments, in which it is found out who is loud, count, too. */
const SETTLE_S = 0.5;
const QUIET_PER_SECOND = 10;
const windowS = Number(values.seconds);

interface Round {
  readonly alone: Sample;
  readonly beside: Sample;
  readonly quiet: Sample;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stopAll().then(() => process.exit(130)));
try {
  const text = render(await compare());
  process.stdout.write(text);
  if (values.write) writeFileSync(join(import.meta.dirname, 'NEIGHBOUR.md'), text);
} finally {
  await stopAll();
}

/** @throws Error that says which one does not run, or answers wrongly */
async function compare(): Promise<readonly Round[]> {
  const bench: Bench = await startUpstream(await buildGoPrograms(), LOAD_CORE);
  const small = scenarios.find(({ name }) => name === 'small')!.load(qianmen);
  const quietly = { ...small, mode: 'open', connections: 4, ratePerSecond: QUIET_PER_SECOND } as const;
  const shared = { ...qianmen, name: 'qianmen-shared' };
  const { entrants, absent } = await lineUp(bench, [qianmen, shared], {
    core: GATEWAY_CORE,
    scenarios: scenarios.filter(({ name }) => name === 'small'),
    checkS: WARM_UP_S,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  if (absent.length > 0) throw new Error(`${absent[0]!.name}: ${absent[0]!.reason}`);
  const headers = [`authorization: Bearer ${await neighbourKey(join(cacheFolder, 'run', shared.name))}`];
  const times = { warmupS: SETTLE_S, windowS };
  const alone = () => taking(entrants[0]!, GATEWAY_CORE, (target) => measure(bench, target, small, times));
  const both = () =>
    taking(entrants[1]!, GATEWAY_CORE, (target) =>
      Promise.all([
        measure(bench, target, small, times),
        measure(bench, { ...target, headers }, quietly, times),
      ]),
    );
  const rounds: Round[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const first = round % 2 === 0 ? await alone() : undefined;
    const [beside, quiet] = await both();
    const sample = { alone: first ?? (await alone()), beside, quiet };
    for (const [name, one] of Object.entries(sample)) {
      const fault = faultOf(one);
      if (fault !== undefined) throw new Error(`${name}: ${fault}`);
    }
    rounds.push(sample);
  }
  return rounds;
}

function render(rounds: readonly Round[]): string {
  const of = (figure: (round: Round) => number, digits: number) => spread(rounds.map(figure), digits);
  return `# What a quiet neighbour costs one that sends all it can

One gateway relays requests of 1 KB for one tenant, closed loop on 32 connections; at another a second tenant asks ${QUIET_PER_SECOND} times a second
beside it. In turns, ${values.rounds} rounds of ${values.seconds} s, each gateway on one core of ${cpus()[0]?.model.trim()}, upstream and clients on the other. Median (min–max).

| | requests/s of the first tenant |
|---|---|
| alone | ${of(({ alone }) => alone.perSecond, 0)} |
| beside the second | ${of(({ beside }) => beside.perSecond, 0)} |

Round by round the first has ${of(({ alone, beside }) => beside.perSecond / alone.perSecond, 2)} of its throughput. The second waits ${of(({ quiet }) => quiet.latencyUs!.p50 / 1e3, 1)} ms at its median.
`;
}

function spread(figures: readonly number[], digits: number): string {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  return `${middle.toFixed(digits)} (${sorted[0]?.toFixed(digits)}–${sorted.at(-1)?.toFixed(digits)})`;
}

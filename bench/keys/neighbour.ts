/**
 * What a tenant that sends all it can gives up as soon as another one sends a little: two gateways with keys, one where a second project asks
 * ten times a second, relay the same small requests of the first to a fast upstream, in turns.
 *
 *   node bench/keys/neighbour.ts [--rounds 5] [--seconds 3] [--write]
 *
 * Built and run as `npm start` does, with the upstream and the load generator of `bench/peers` (Go needed). `--write` keeps the figures in NEIGHBOUR.md.
 */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { neighbourKey, qianmen } from '../peers/adapters/qianmen.ts';
import { taking } from '../peers/lineup.ts';
import { measure, type Sample } from '../peers/measure.ts';
import { cacheFolder } from '../peers/paths.ts';
import { faultless, GATEWAY_CORE, lineUpAll, report, SETTLE_S, small, spread } from './small-requests.ts';

const QUIET_PER_SECOND = 10;

interface Round {
  readonly alone: Sample;
  readonly beside: Sample;
  readonly quiet: Sample;
}

await report('NEIGHBOUR.md', 5, async ({ rounds, seconds }) =>
  render(await compare(rounds, seconds), seconds),
);

/** @throws Error that says which one does not run, or answers wrongly */
async function compare(rounds: number, windowS: number): Promise<readonly Round[]> {
  const shared = { ...qianmen, name: 'qianmen-shared' };
  const { bench, entrants } = await lineUpAll([qianmen, shared]);
  const headers = [`authorization: Bearer ${await neighbourKey(join(cacheFolder, 'run', shared.name))}`];
  const loud = small.load(qianmen);
  const quietly = { ...loud, mode: 'open', connections: 4, ratePerSecond: QUIET_PER_SECOND } as const;
  // The first moments, in which it is found out who is loud, count, too.
  const times = { warmupS: SETTLE_S, windowS };
  const alone = () => taking(entrants[0]!, GATEWAY_CORE, (target) => measure(bench, target, loud, times));
  const both = () =>
    taking(entrants[1]!, GATEWAY_CORE, (target) =>
      Promise.all([
        measure(bench, target, loud, times),
        measure(bench, { ...target, headers }, quietly, times),
      ]),
    );
  const taken: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0 ? await alone() : undefined;
    const [beside, quiet] = await both();
    taken.push({
      alone: faultless('alone', first ?? (await alone())),
      beside: faultless('beside', beside),
      quiet: faultless('quiet', quiet),
    });
  }
  return taken;
}

function render(rounds: readonly Round[], seconds: number): string {
  const of = (figure: (round: Round) => number, digits: number) => spread(rounds.map(figure), digits);
  return `# What a quiet neighbour costs one that sends all it can

One gateway relays requests of 1 KB for one tenant, closed loop on 32 connections; at another a second tenant asks ${QUIET_PER_SECOND} times a second
beside it. In turns, ${rounds.length} rounds of ${seconds} s, each gateway on one core of ${cpus()[0]?.model.trim()}, upstream and clients on the other. Median (min–max).

| | requests/s of the first tenant |
|---|---|
| alone | ${of(({ alone }) => alone.perSecond, 0)} |
| beside the second | ${of(({ beside }) => beside.perSecond, 0)} |

Round by round the first has ${of(({ alone, beside }) => beside.perSecond / alone.perSecond, 2)} of its throughput. The second waits ${of(({ quiet }) => quiet.latencyUs!.p50 / 1e3, 1)} ms at its median.
`;
}

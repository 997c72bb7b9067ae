/**
 * Runs public traces through the routing policies and re-implementations of other routers, over simulated engines.
 *
 *   node bench/routing/run.ts --traces DIRECTORY [--only conversation,faults] [--seeds 1,2,3,4,5]
 *
 * Keeps the figures in results.ndjson and writes RESULTS.md from all of them; --only runs some scenarios anew, and with nothing after it none. The
 * folder may be named by QIANMEN_TRACES, too; README.md tells where the traces come from.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { POLICIES } from '../../routers/policies.ts';
import { type Figures, figures } from '../../src/simulation/figures.ts';
import { type MakePolicy, simulate } from '../../src/simulation/simulate.ts';
import { parseTrace, replay } from '../../src/simulation/trace.ts';
import { dynamo } from './peers/dynamo.ts';
import { gie } from './peers/gie.ts';
import { leastRequest } from './peers/least-request.ts';
import { sglang } from './peers/sglang.ts';
import { report } from './report.ts';
import { type BenchScenario, SCENARIOS } from './scenarios.ts';

/** By scenario, load and policy: one entry per seed. */
export type Results = Record<string, Record<string, Record<string, Figures[]>>>;

const { balanced, 'round-robin': roundRobin, ...others } = POLICIES;
const PEERS: Record<string, MakePolicy> = { 'round-robin': roundRobin, leastRequest, sglang, gie, dynamo };

const { values } = parseArgs({
  options: {
    traces: { type: 'string', default: process.env.QIANMEN_TRACES },
    only: { type: 'string', default: Object.keys(SCENARIOS).join() },
    seeds: { type: 'string', default: '1,2,3,4,5' },
  },
});
if (values.traces === undefined) throw new Error('name the folder of the traces with --traces');
const folder = values.traces;
const seeds = values.seeds.split(',').map(Number);
const file = fileURLToPath(new URL('results.ndjson', import.meta.url));
const results: Results = existsSync(file) ? parsed(readFileSync(file, 'utf8')) : {};
for (const name of values.only.split(',').filter(Boolean)) {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`no scenario ${name}; there are ${Object.keys(SCENARIOS)}`);
  results[name] = runScenario(scenario);
  writeFileSync(file, lines(results));
  console.log(`${name} done`);
}
writeFileSync(fileURLToPath(new URL('RESULTS.md', import.meta.url)), report(results));

function parsed(text: string): Results {
  return Object.assign(
    {},
    ...text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Results),
  );
}

/** One scenario a line; more digits than six mean nothing. */
function lines(all: Results): string {
  const rounded = (_: string, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(6)) : value;
  return Object.entries(all)
    .map(([name, byLoad]) => `${JSON.stringify({ [name]: byLoad }, rounded)}\n`)
    .join('');
}

function runScenario({
  trace,
  machines,
  loads,
  faults = [],
  scrapeMs = 50,
  gateways = 1,
  liar,
  all,
}: BenchScenario) {
  const recorded = parseTrace(readFileSync(join(folder, trace), 'utf8'));
  const policies: Record<string, MakePolicy> = { ...PEERS, balanced, ...(all ? others : {}) };
  const byLoad: Results[string] = {};
  for (const load of loads) {
    const byPolicy: Record<string, Figures[]> = {};
    for (const [policy, make] of Object.entries(policies)) {
      byPolicy[policy] = seeds.map((seed) => {
        const scenario = {
          machines,
          requests: replay(recorded, load, seed),
          faults,
          seed,
          scrapeMs,
          gateways,
          liar,
        };
        return figures(simulate(scenario, make));
      });
    }
    byLoad[String(load)] = byPolicy;
  }
  return byLoad;
}

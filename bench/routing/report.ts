import type { Figures } from '../../src/simulation/figures.ts';
import type { Results } from './run.ts';
import { SCENARIOS } from './scenarios.ts';

const NAMES: Record<string, string> = {
  leastRequest: 'least request',
  sglang: 'SGLang cache-aware',
  gie: 'llm-d / GIE',
  dynamo: 'Dynamo',
  balanced: '**balanced**',
};
const PEERS = ['round-robin', 'leastRequest', 'sglang', 'gie', 'dynamo'];
/** Goodputs closer than this are one request in two thousand apart. */
const EQUAL = 0.0005;

/** The document is made from the run, so that its numbers cannot drift. */
export function report(results: Results): string {
  const sections = Object.entries(SCENARIOS).flatMap(([name, { title, loads }]) => {
    const byLoad = results[name];
    if (byLoad === undefined) return [];
    const detail = String(loads.includes(1.4) ? 1.4 : loads.at(-1));
    return [
      `## ${title}`,
      ...(loads.length > 1 ? ['', sweep(byLoad), '', `At × ${detail}:`] : []),
      '',
      figuresTable(byLoad[detail]!),
      '',
      versus(byLoad),
      '',
    ];
  });
  return `${[...INTRODUCTION, ...sections].join('\n').trimEnd()}\n`;
}

const INTRODUCTION = [
  '# Routing policies over public traces',
  '',
  'Written by `run.ts` from `results.ndjson`; README.md tells how. Means of the seeds; in brackets the lowest of them. Goodput: the share of',
  'requests whose first token came within 2 s + 0.1 ms per prompt token and whose later ones took 50 ms or less on average.',
  'Hit rate: prompt tokens that the engines did not have to compute. Fairness: Jain’s index of the goodput of the four',
  'quarters of requests by prompt length. The peers are re-implementations of their published scorers with their defaults;',
  'Dynamo’s sees every cache event at once, llm-d’s metrics are 50 ms old at most unless said otherwise.',
  '',
];

type ByPolicy = Record<string, Figures[]>;

function sweep(byLoad: Record<string, ByPolicy>): string {
  const loads = Object.keys(byLoad).sort((a, b) => Number(a) - Number(b));
  const policies = Object.keys(byLoad[loads[0]!]!);
  const rows = policies.map((policy) => [
    NAMES[policy] ?? policy,
    ...loads.map((load) => mean(byLoad[load]![policy]!, 'goodput').toFixed(3)),
  ]);
  return table(['goodput', ...loads.map((load) => `× ${load}`)], rows);
}

function figuresTable(byPolicy: ByPolicy): string {
  const rows = Object.entries(byPolicy).map(([policy, runs]) => [
    NAMES[policy] ?? policy,
    `${mean(runs, 'goodput').toFixed(3)} (${Math.min(...runs.map((one) => one.goodput)).toFixed(3)})`,
    mean(runs, 'ttftP50Ms').toFixed(0),
    mean(runs, 'ttftP99Ms').toFixed(0),
    `${(100 * mean(runs, 'hitRate')).toFixed(1)} %`,
    mean(runs, 'usdPerThousand') > 0 ? mean(runs, 'usdPerThousand').toFixed(2) : '–',
    mean(runs, 'fairness').toFixed(3),
    mean(runs, 'failed').toFixed(0),
  ]);
  const head = ['', 'goodput', 'TTFT p50 ms', 'p99 ms', 'hit rate', 'USD per 1000', 'fairness', 'failed'];
  return table(head, rows);
}

/** Against the best peer of each load and seed. */
function versus(byLoad: Record<string, ByPolicy>): string {
  let runs = 0;
  let behind = 0;
  let worst = 0;
  for (const byPolicy of Object.values(byLoad)) {
    byPolicy.balanced!.forEach((ours, seed) => {
      const best = Math.max(...PEERS.map((peer) => byPolicy[peer]![seed]!.goodput));
      runs += 1;
      if (ours.goodput < best - EQUAL) behind += 1;
      worst = Math.min(worst, ours.goodput - best);
    });
  }
  if (behind === 0)
    return `\`balanced\` is at least as good as the best peer in all ${runs} runs (load × seed).`;
  return `\`balanced\` is behind the best peer in ${behind} of ${runs} runs (load × seed), by ${(-worst).toFixed(4)} at most.`;
}

function mean(runs: readonly Figures[], key: keyof Figures): number {
  return runs.reduce((total, one) => total + one[key], 0) / runs.length;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map((_, i) => (i === 0 ? '---' : '--:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

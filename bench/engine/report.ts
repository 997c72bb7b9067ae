import { cpus, totalmem } from 'node:os';
import {
  bareColumn,
  type Column,
  median,
  present,
  ratioColumn,
  servedColumn,
  shareServedColumn,
} from './columns.ts';
import type { Task } from './figures.ts';
import type { Contestant, Round } from './round.ts';
import type { Served } from './served.ts';
import { targetRows } from './targets.ts';

const OTHERS: readonly Contestant[] = ['llama.cpp', 'llama.cpp Q4_0', 'onnxruntime-node', 'node-llama-cpp'];

interface ReportOptions {
  readonly task: Task;
  readonly slots: number;
  readonly absent: ReadonlyMap<Contestant, string>;
}

/** One document: medians over the rounds, and ratios as median (least–greatest) of the ratios within each round. */
export function render(rounds: readonly Round[], { task, slots, absent }: ReportOptions): string {
  const names = [...task.prompts.map((p) => `prompt ${p}`), ...task.batches.map((b) => `decode ${b}`)];
  const bare = names.map((name) => {
    const ours = bareColumn(rounds, 'qianmen', name);
    const theirs = OTHERS.map((other) => bareColumn(rounds, other, name));
    return [name, whole(ours), ...theirs.map((figures) => beside(ours, figures))];
  });
  const servedRows = SERVED.map(({ name, read, ratio }) => {
    const ours = servedColumn(rounds, 'qianmen', read);
    const theirs = servedColumn(rounds, 'llama.cpp', read);
    return [
      name,
      ratio ? percent(ours) : whole(ours),
      ratio ? percent(theirs) : whole(theirs),
      ratios(ratioColumn(ours, theirs)),
    ];
  });
  const clientCounts = Object.keys(rounds.find(({ shares }) => shares)?.shares ?? {});
  const ofBare = clientCounts.map((clients) => [
    `${clients} clients`,
    ratios(shareServedColumn(rounds, clients)),
  ]);
  const guessed = Object.keys(rounds.find(({ speculation }) => speculation)?.speculation ?? {}).map(
    (kind) => [kind, ratios(rounds.map(({ speculation }) => speculation?.[kind]))],
  );
  return `# The local engine beside llama.cpp

${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux, Node ${process.version}. ${task.threads} threads each,
${roundsText(rounds)}. All contestants use the same file, but for llama.cpp Q4_0: the format that it computes fastest, made from that file. Ratios are Qianmen ÷ the other, as median (least–greatest) of the rounds;
absolute figures drift with the machine. Written by \`node bench/engine/run.ts\`.

## What was aimed at

${table(['', 'aim', 'median', 'met'], targetRows(rounds))}

## Engines without servers

Tokens per second: \`prompt N\` is one prompt of N tokens, \`decode N\` are N sequences of 128 tokens of context decoded together.

${table(['', 'Qianmen', ...OTHERS.map((other) => `${other} (ratio)`)], bare)}

node-llama-cpp's decoding includes its greedy sampling, and is left out where it takes minutes; onnxruntime-node runs Qianmen's graph and copies the KV memory at every step.

## Servers

Streamed chats over HTTP, ${slots} slots of 2,048 tokens, Qianmen's defaults beside llama.cpp's own server.

${table(['', 'Qianmen', 'llama.cpp', 'ratio'], servedRows)}

Share of the bare engine that arrives over HTTP, client on the same cores. The bare engine decodes as many sequences, of the same lengths in as much KV memory, and draws no tokens.
They take turns, and each turn of the server is set beside what the bare engine did right before and right after it; prompts are not kept, as nothing is to be read back meanwhile:

${table(['', 'served ÷ bare'], ofBare)}

Tokens guessed from what the text repeats, one reply at a time; the texts are the same with and without:

${table(['', 'with ÷ without'], guessed)}
${[...absent].map(([name, reason]) => `\nNot measured: ${name}: ${reason.split('\n')[0]}\n`).join('')}`;
}

const SERVED: readonly { name: string; read: (served: Served) => number | undefined; ratio?: true }[] = [
  ...['8', '16', '32'].flatMap((clients) => [
    {
      name: `${clients} clients at once, 150 tokens in and 96 out, end to end, tokens/s`,
      read: (s: Served) => s.bursts[clients]?.tokensPerSecond,
    },
    { name: 'their first token, median, ms', read: (s: Served) => s.bursts[clients]?.firstTokenMs },
    {
      name: `${clients} clients while all decode, tokens/s`,
      read: (s: Served) => s.tokensPerSecond[clients],
    },
  ]),
  { name: 'longest gap in six streams while 1,000 tokens arrive, ms', read: (s) => s.arrival.longestGapMs },
  { name: 'first token of those 1,000, ms', read: (s) => s.arrival.firstTokenMs },
  { name: 'chat of 1,000 tokens, first token of the first turn, ms', read: (s) => s.turns.firstMs },
  { name: 'of the second turn, ms', read: (s) => s.turns.secondMs },
  { name: 'second ÷ first', read: (s) => s.turns.secondMs / s.turns.firstMs, ratio: true },
];

/** Parts may have been measured more or less often. */
function roundsText(rounds: readonly Round[]): string {
  const count = (has: (round: Round) => unknown) => rounds.filter((round) => has(round)).length;
  const bare = count(({ bare }) => bare.qianmen);
  return `${bare} round(s) of the engines, ${count(({ served }) => served.qianmen)} of the servers`;
}

function beside(ours: Column, theirs: Column): string {
  return theirs.every((value) => value === undefined)
    ? '–'
    : `${whole(theirs)} (${ratios(ratioColumn(ours, theirs))})`;
}

function ratios(values: Column): string {
  const each = present(values);
  if (each.length === 0) return '–';
  const [middle, least, greatest] = [median(each), each[0]!, each.at(-1)!].map((ratio) => ratio.toFixed(2));
  return each.length === 1 ? `${middle}` : `${middle} (${least}–${greatest})`;
}

function whole(values: Column): string {
  return show(values, (value) => value.toFixed(0));
}

function percent(values: Column): string {
  return show(values, (value) => `${(value * 100).toFixed(1)} %`);
}

function show(values: Column, format: (value: number) => string): string {
  const all = present(values);
  return all.length === 0 ? '–' : format(median(all));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

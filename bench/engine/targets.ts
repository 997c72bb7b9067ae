import {
  bareColumn,
  type Column,
  median,
  present,
  ratioColumn,
  servedColumn,
  shareServedColumn,
} from './columns.ts';
import type { Contestant, Round } from './round.ts';
import type { Served } from './served.ts';

interface Limits {
  readonly least?: number;
  readonly most?: number;
}

interface Target extends Limits {
  readonly name: string;
  readonly read: (rounds: readonly Round[]) => Column;
}

const besideServers = (
  name: string,
  read: (served: Served) => number | undefined,
  limits: Limits,
): Target => ({
  name: `${name}, ÷ llama.cpp's server`,
  read: (rounds) =>
    ratioColumn(servedColumn(rounds, 'qianmen', read), servedColumn(rounds, 'llama.cpp', read)),
  ...limits,
});

const bareRatio = (rounds: readonly Round[], other: Contestant, name: string): Column =>
  ratioColumn(bareColumn(rounds, 'qianmen', name), bareColumn(rounds, other, name));

/** `leasts`: by the name of a figure. */
const besideBare = (other: Contestant, leasts: Readonly<Record<string, number>>): Target[] =>
  Object.entries(leasts).map(([name, least]) => ({
    name: `${name} ÷ ${other}`,
    read: (rounds) => bareRatio(rounds, other, name),
    least,
  }));

const ofBare = (clients: number): Target => ({
  name: `${clients} clients, served ÷ bare engine`,
  read: (rounds) => shareServedColumn(rounds, clients),
  least: 0.9,
});

const TARGETS: readonly Target[] = [
  ...besideBare('llama.cpp', {
    'decode 1': 0.9,
    'decode 8': 1.8,
    'decode 16': 2,
    'decode 32': 2,
    'prompt 512': 2.7,
  }),
  ...besideBare('llama.cpp Q4_0', {
    'decode 1': 0.75,
    'decode 8': 1.2,
    'decode 16': 1,
    'decode 32': 1,
    'prompt 512': 1,
  }),
  ...besideBare('onnxruntime-node', { 'decode 1': 1.1, 'decode 8': 1.4 }),
  {
    name: 'one reply that repeats itself, greedy, with speculation ÷ llama.cpp, decode 1',
    read: (rounds) => {
      const beside = bareRatio(rounds, 'llama.cpp', 'decode 1');
      return rounds.map(({ speculation }, i) => {
        const gain = speculation?.['repeats itself, greedy'];
        return gain === undefined || beside[i] === undefined ? undefined : gain * beside[i];
      });
    },
    least: 1.3,
  },
  ...[8, 16, 32].flatMap((clients) => [
    besideServers(`${clients} clients, end to end`, (s) => s.bursts[clients]?.tokensPerSecond, { least: 2 }),
    besideServers(`${clients} clients, first token`, (s) => s.bursts[clients]?.firstTokenMs, { most: 0.4 }),
  ]),
  {
    name: 'longest gap in six streams while 1,000 tokens arrive, ms',
    read: (rounds) => servedColumn(rounds, 'qianmen', (served) => served.arrival.longestGapMs),
    most: 200,
  },
  besideServers('first token of those 1,000', (served) => served.arrival.firstTokenMs, { most: 1 }),
  {
    name: 'second turn of a chat of 1,000 tokens ÷ the first, to the first token',
    read: (rounds) => servedColumn(rounds, 'qianmen', ({ turns }) => turns.secondMs / turns.firstMs),
    most: 0.05,
  },
  ofBare(8),
  ofBare(32),
];

/** What was aimed at, what the median of the rounds is, and whether that is met. */
export function targetRows(rounds: readonly Round[]): string[][] {
  return TARGETS.map(({ name, read, least, most }) => {
    const values = present(read(rounds));
    const aim = least === undefined ? `≤ ${most}` : `≥ ${least}`;
    if (values.length === 0) return [name, aim, '–', 'not measured'];
    const middle = median(values);
    const isMet = middle >= (least ?? 0) && middle <= (most ?? Number.POSITIVE_INFINITY);
    return [
      name,
      aim,
      middle >= 10 ? middle.toFixed(0) : middle.toFixed(middle < 0.1 ? 3 : 2),
      isMet ? 'yes' : 'no',
    ];
  });
}

import { LARGE, LARGE_SLOW, SMALL } from '../../src/simulation/engine.ts';
import type { FaultAt } from '../../src/simulation/faults.ts';
import type { Machine } from '../../src/simulation/simulate.ts';

export interface BenchScenario {
  readonly title: string;
  /** The file in the folder of traces. */
  readonly trace: string;
  readonly machines: readonly Machine[];
  /** Factors on the trace's own rate. */
  readonly loads: readonly number[];
  readonly faults?: readonly FaultAt[];
  readonly scrapeMs?: number;
  readonly liar?: number;
  readonly gateways?: number;
  /** All of our own policies too, not the default one alone. */
  readonly all?: boolean;
}

const SWEEP = [0.5, 0.75, 1, 1.25, 1.5];
const fleet = (count: number, machine: Machine) => Array.from({ length: count }, () => machine);
const large = fleet(8, { engine: LARGE });

/** About what a large cloud asks for a 70B model. */
const CLOUD = { inputUsdPerMTok: 0.8, cachedInputUsdPerMTok: 0.4, outputUsdPerMTok: 0.8 };
/** About what eight own accelerators come to when they are busy. */
const OWN = { inputUsdPerMTok: 0.2, cachedInputUsdPerMTok: 0.05, outputUsdPerMTok: 0.4 };

export const SCENARIOS: Readonly<Record<string, BenchScenario>> = {
  conversation: {
    title: 'Mooncake conversation, 8 engines',
    trace: 'mooncake-conversation.jsonl',
    machines: large,
    loads: [...SWEEP.slice(0, 4), 1.4, 1.5],
  },
  policies: {
    title: 'Mooncake conversation × 1.4, 8 engines, every policy',
    trace: 'mooncake-conversation.jsonl',
    machines: large,
    loads: [1.4],
    all: true,
  },
  'azure-conv': {
    title: 'Azure conversation, 3 small engines',
    trace: 'azure-conv.csv',
    machines: fleet(3, { engine: SMALL }),
    loads: SWEEP,
  },
  'azure-code': {
    title: 'Azure code, 8 small engines',
    trace: 'azure-code.csv',
    machines: fleet(8, { engine: SMALL }),
    loads: SWEEP,
  },
  heterogeneous: {
    title: 'Mooncake conversation × 1, 4 engines and 4 half as fast',
    trace: 'mooncake-conversation.jsonl',
    machines: [...fleet(4, { engine: LARGE }), ...fleet(4, { engine: LARGE_SLOW })],
    loads: [1],
  },
  faults: {
    title:
      'Mooncake conversation × 1.25, one slowed to a third for 5 min, one hung for 30 s, one down for 1 min',
    trace: 'mooncake-conversation.jsonl',
    machines: large,
    loads: [1.25],
    faults: [
      { kind: 'slow', machine: 1, atMs: 400_000, durationMs: 300_000 },
      { kind: 'hang', machine: 2, atMs: 1_000_000, durationMs: 30_000 },
      { kind: 'crash', machine: 3, atMs: 1_500_000, durationMs: 60_000 },
    ],
  },
  blind: {
    title: 'Mooncake conversation × 1.25, two gateways that do not know of each other, metrics every 5 s',
    trace: 'mooncake-conversation.jsonl',
    machines: large,
    loads: [1.25],
    scrapeMs: 5_000,
    gateways: 2,
  },
  memory: {
    title:
      'Mooncake conversation × 1.25, engines whose memory of prompts is half as large and loses any block',
    trace: 'mooncake-conversation.jsonl',
    machines: fleet(8, { engine: { ...LARGE, kvTokens: 500_000, eviction: 'random' } }),
    loads: [1.25],
  },
  liar: {
    title: 'Mooncake conversation × 1.25, one whose metrics always say that 500 wait and 500 run',
    trace: 'mooncake-conversation.jsonl',
    machines: large,
    loads: [1.25],
    liar: 3,
  },
  prices: {
    title: 'Mooncake conversation × 1, 4 own engines and 4 of a cloud at four times the price',
    trace: 'mooncake-conversation.jsonl',
    machines: [
      ...fleet(4, { engine: LARGE, privacy: 'private', price: OWN }),
      ...fleet(4, { engine: LARGE, privacy: 'public', price: CLOUD }),
    ],
    loads: [1],
    all: true,
  },
};

import type { Peer } from './peer.ts';

/** What the load generator is told. */
export interface Load {
  readonly mode: 'closed' | 'open' | 'stream' | 'paced';
  readonly connections: number;
  readonly ratePerSecond?: number;
  /** Text in the messages, and over how many messages it is spread. */
  readonly contentBytes: number;
  readonly messages: number;
  /** Streams: events per reply, events per write of the upstream, time between two writes. */
  readonly chunks?: number;
  readonly burst?: number;
  readonly intervalUs?: number;
  /** The least time before measuring, such as all streams need to begin. */
  readonly leastWarmupS?: number;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** The gateway is meant to be the bottleneck: if its core was not busy, the load side was. */
  readonly saturates: boolean;
  load(peer: Pick<Peer, 'openRatePerSecond' | 'pacedStreams'>): Load;
}

const KILOBYTE_BODY = { contentBytes: 860, messages: 1 };

export const PACED_CHUNKS = 100;
export const PACED_INTERVAL_US = 20_000;

export const scenarios: readonly Scenario[] = [
  {
    name: 'small',
    title: 'requests of 1 KB, closed loop on 32 connections',
    saturates: true,
    load: () => ({ mode: 'closed', connections: 32, ...KILOBYTE_BODY }),
  },
  {
    name: 'open',
    title: 'requests of 1 KB at a fixed rate',
    saturates: false,
    load: ({ openRatePerSecond }) => ({
      mode: 'open',
      connections: 16,
      ratePerSecond: openRatePerSecond,
      ...KILOBYTE_BODY,
    }),
  },
  {
    name: 'burst',
    title: '32 streams of 200 events, ten per write, as fast as they go',
    saturates: true,
    load: () => ({ mode: 'stream', connections: 32, chunks: 200, burst: 10, ...KILOBYTE_BODY }),
  },
  {
    name: 'paced',
    title: '200 streams of 100 events, one each 20 ms',
    saturates: false,
    load: ({ pacedStreams }) => ({
      mode: 'paced',
      connections: pacedStreams,
      chunks: PACED_CHUNKS,
      intervalUs: PACED_INTERVAL_US,
      leastWarmupS: (PACED_CHUNKS * PACED_INTERVAL_US) / 1e6 + 0.5,
      ...KILOBYTE_BODY,
    }),
  },
  {
    name: 'large',
    title: 'requests of 200 KB in 20 messages, closed loop on 16 connections',
    saturates: true,
    load: () => ({ mode: 'closed', connections: 16, contentBytes: 200_000, messages: 20 }),
  },
];

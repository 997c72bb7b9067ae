import type { Figure } from './figures.ts';
import type { Served } from './served.ts';

export type Contestant = 'qianmen' | 'llama.cpp' | 'llama.cpp Q4_0' | 'onnxruntime-node' | 'node-llama-cpp';

/** What was measured in one round. */
export interface Round {
  readonly bare: Partial<Record<Contestant, readonly Figure[]>>;
  readonly served: Partial<Record<Contestant, Served>>;
  /** By number of clients: tokens per second over HTTP ÷ those of the engine without its server. */
  readonly shares?: Readonly<Record<string, number>>;
  /** By kind of text: tokens per second with speculation ÷ without. */
  readonly speculation?: Readonly<Record<string, number>>;
}

import type { Figure } from './figures.ts';
import type { Served } from './served.ts';

export type Contestant = 'qianmen' | 'llama.cpp' | 'llama.cpp Q4_0' | 'onnxruntime-node' | 'node-llama-cpp';

/** What was measured in one round. */
export interface Round {
  readonly bare: Partial<Record<Contestant, readonly Figure[]>>;
  readonly served: Partial<Record<Contestant, Served>>;
  /** Qianmen's engine without its server, right before it. */
  readonly besideServer?: readonly Figure[];
  /** By kind of text: tokens per second with speculation ÷ without. */
  readonly speculation?: Readonly<Record<string, number>>;
}

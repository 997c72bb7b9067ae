import type { EngineConfig } from '../../config/engine.ts';
import type { Emit } from '../core/event.ts';
import type { Clock } from '../model-process/clock.ts';
import type { Engine } from './engine-facts.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { MemoryEstimate } from './memory-estimate.ts';

export type LoadReason = 'start' | 'request' | 'operator';
export type UnloadReason = 'idle' | 'room' | 'operator';
export type LocalModelState = 'unloaded' | 'loading' | 'ready' | 'unloading' | 'failed';

export interface LocalModelOptions<E extends Engine> {
  readonly name: string;
  readonly settings: EngineConfig;
  /** Starts the engine's process. */
  readonly create: (memoryLimitBytes: () => number) => E;
  /** Resolves to undefined if the file does not tell. */
  readonly estimate: () => Promise<MemoryEstimate | undefined>;
  readonly budget: MemoryBudget;
  readonly emit: Emit;
  readonly clock?: Clock;
}

import { Counter, Gauge, type Registry } from 'prom-client';
import type { LocalModelChanged } from '../core/event.ts';

/** The memory of a local model now. */
export interface LocalModelMemory {
  readonly name: string;
  /** All that it may come to take; 0 while it is not in memory. */
  readonly budgetedBytes: number;
  readonly residentBytes: number | null;
  readonly limitBytes: number;
}

export interface LocalMemory {
  readonly budgetBytes: number;
  readonly models: readonly LocalModelMemory[];
}

/** What local models take of the memory, and how often they come and go. */
export function localModelMetrics(
  registry: Registry,
  read: () => LocalMemory,
): (event: LocalModelChanged) => void {
  const registers = [registry];
  const perModel = (name: string, help: string, value: (model: LocalModelMemory) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['model'],
      registers,
      collect() {
        this.reset();
        for (const model of read().models) this.inc({ model: model.name }, value(model) ?? 0);
      },
    });
  perModel(
    'qianmen_local_model_budgeted_bytes',
    'Memory that the model may come to take; 0 while it is not in memory.',
    (model) => model.budgetedBytes,
  );
  perModel(
    'qianmen_local_model_resident_bytes',
    "Memory that the model's process takes.",
    (model) => model.residentBytes,
  );
  perModel(
    'qianmen_local_model_limit_bytes',
    "Memory beyond which the model's process is ended.",
    (model) => model.limitBytes,
  );
  new Gauge({
    name: 'qianmen_local_memory_budget_bytes',
    help: 'Memory that all local models may take together.',
    registers,
    collect() {
      this.set(read().budgetBytes);
    },
  });
  const changes = new Counter({
    name: 'qianmen_local_model_changes_total',
    help: 'Local models that were loaded, unloaded, or refused for want of memory, by what caused it.',
    labelNames: ['model', 'change', 'reason'],
    registers,
  });
  return ({ model, change, reason }) => changes.inc({ model, change, reason });
}

import { Gauge, type Registry } from 'prom-client';
import type { EngineStateChanged } from '../core/event.ts';

/** Tells of each local model that is loaded where it computes: an engine that fell from a GPU to the CPU shows here. */
export function providerMetrics(registry: Registry): (event: EngineStateChanged) => void {
  const running = new Gauge({
    name: 'qianmen_engine_provider',
    help: '1 for the execution provider that the loaded model computes on.',
    labelNames: ['engine', 'provider'],
    registers: [registry],
  });
  const told = new Map<string, string>();
  return ({ engine, state, provider }) => {
    const before = told.get(engine);
    if (before !== undefined) running.remove({ engine, provider: before });
    told.delete(engine);
    if (state !== 'ready' || provider === undefined) return;
    told.set(engine, provider);
    running.set({ engine, provider }, 1);
  };
}

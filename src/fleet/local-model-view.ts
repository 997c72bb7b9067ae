import type { LocalModelView } from '../api/admin/model-routes.ts';
import type { EngineFacts } from '../local/engine-facts.ts';
import type { LocalBackend } from '../local/local-backends.ts';
import type { MemoryBudget } from '../local/memory-budget.ts';

interface ViewContext {
  readonly budget: MemoryBudget;
  readonly path: string | undefined;
  readonly origin: LocalModelView['origin'];
  readonly leaving: boolean;
}

/** What operators see of a local model now. */
export function viewOf({ kind, local }: LocalBackend, context: ViewContext): LocalModelView {
  const { settings, engine } = local;
  const facts: EngineFacts | undefined = engine?.info();
  const health = local.health();
  return {
    name: local.name,
    kind,
    origin: context.origin,
    leaving: context.leaving,
    state: context.leaving ? 'unloading' : local.state,
    detail: health.detail ?? '',
    path: context.path ?? null,
    pid: engine?.pid ?? null,
    load: settings.load,
    keepAliveMs: settings.keepAliveMs ?? null,
    memory: {
      budgetedBytes: context.budget.chargeOf(local),
      expectedBytes: local.expectedBytes || null,
      residentBytes: local.residentBytes ?? null,
      limitBytes: local.memoryLimitBytes,
      kvBytes: facts?.kvBytes ?? null,
      prefixCacheBytes: facts?.prefixCacheBytes ?? null,
    },
    architecture: facts?.architecture ?? null,
    provider: facts?.provider ?? null,
    threads: facts?.threads ?? null,
    slots: facts?.slots ?? null,
    contextTokens: facts?.contextTokens ?? null,
    inFlight: health.inFlight,
    queued: health.queued,
    loadedSince: wallClock(engine?.readySinceMs),
    lastUsed: wallClock(local.lastRequestMs),
    health,
  };
}

/** @param atMs As `performance.now()` tells it. */
function wallClock(atMs: number | undefined): string | null {
  return atMs === undefined ? null : new Date(Date.now() - (performance.now() - atMs)).toISOString();
}

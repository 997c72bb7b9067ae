import { type EngineConfig, engineName } from '../../config/engine.ts';
import type { Emit } from '../core/event.ts';
import { createEncoder, createGenerator, isEncoder } from './engines.ts';
import { fileSignature } from './file-signature.ts';
import { refuseForeignSettings } from './foreign-settings.ts';
import { type LocalBackend, LocalGenerator, LocalReader } from './local-backends.ts';
import { LocalModel } from './local-model.ts';
import type { LoadReason } from './local-model-options.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { type EstimateQuestion, estimateMemory, type MemoryEstimate } from './memory-estimate.ts';

/** A local model as the configuration, or an operator, wants it. */
export interface WantedModel {
  readonly settings: EngineConfig;
  /** Of its file or directory. */
  readonly path: string;
}

/** A model that is served, and what it was made from. */
interface Made {
  readonly key: string;
  readonly path: string;
  readonly backend: LocalBackend;
}

/** What will be served once it is adopted. */
export interface LocalModelPlan {
  readonly made: ReadonlyMap<string, Made>;
  /** The settings of all, by name, kept ones included. */
  readonly settings: ReadonlyMap<string, EngineConfig>;
  /** Those that are not served yet. */
  readonly fresh: readonly LocalBackend[];
}

/** The local models that are served, by name. Another set of them is planned, started, and then adopted or given up as a whole. */
export class LocalModels {
  readonly #emit: Emit;
  readonly #graphDir: string | undefined;
  readonly #budget: MemoryBudget;
  #made: ReadonlyMap<string, Made> = new Map();

  constructor(options: {
    readonly emit: Emit;
    readonly budget: MemoryBudget;
    /** For graphs of models that lie where nothing may be written. */
    readonly graphDir?: string | undefined;
  }) {
    this.#emit = options.emit;
    this.#graphDir = options.graphDir;
    this.#budget = options.budget;
  }

  get list(): readonly LocalBackend[] {
    return [...this.#made.values()].map(({ backend }) => backend);
  }

  get(name: string): LocalBackend | undefined {
    return this.#made.get(name)?.backend;
  }

  pathOf(name: string): string | undefined {
    return this.#made.get(name)?.path;
  }

  /** Whatever has the settings and the file of before stays as it is. Throws ForeignSettingsError. */
  plan(wanted: readonly WantedModel[]): LocalModelPlan {
    const made = new Map<string, Made>();
    const settings = new Map<string, EngineConfig>();
    const fresh: LocalBackend[] = [];
    for (const model of wanted) {
      refuseForeignSettings(model.settings, model.path);
      const name = engineName(model.settings);
      const key = keyOf(model);
      settings.set(name, model.settings);
      const kept = this.#made.get(name);
      if (kept?.key === key) {
        made.set(name, kept);
        continue;
      }
      const backend = this.#create(name, model);
      fresh.push(backend);
      made.set(name, { key, path: model.path, backend });
    }
    return { made, settings, fresh };
  }

  /**
   * Loads what is to be in memory at once. Resolves when there is room for all of it, and when models that replace
   * others are ready.
   *
   * @throws NoRoomError, or Error if a replacement cannot be loaded.
   */
  async start({ fresh }: LocalModelPlan, reason: LoadReason): Promise<void> {
    const due = fresh
      .map(({ local }) => ({ local, before: this.get(local.name)?.local }))
      .filter(({ local, before }) => local.settings.load === 'start' || before?.engine !== undefined);
    await Promise.all(due.map(({ local, before }) => local.reserve(reason, before)));
    const loads = due.map(({ local, before }) => ({ before, ready: local.load(reason, before) }));
    // Those that replace nothing are not waited for, and report failures themselves.
    for (const { ready } of loads) ready.catch(() => {});
    await Promise.all(loads.filter(({ before }) => before !== undefined).map(({ ready }) => ready));
  }

  adopt({ made, settings }: LocalModelPlan): void {
    this.#made = made;
    for (const [name, { backend }] of made) backend.local.configure(settings.get(name)!);
  }

  #create(name: string, { settings, path }: WantedModel): LocalBackend {
    const emit = this.#emit;
    const encodes = isEncoder(settings, path);
    const common = {
      name,
      settings,
      budget: this.#budget,
      emit,
      estimate: estimator(settings, path),
    };
    const graphDir = this.#graphDir;
    return encodes
      ? new LocalReader(
          new LocalModel({
            ...common,
            create: (memoryLimitBytes) => createEncoder(settings, path, { emit, memoryLimitBytes, graphDir }),
          }),
        )
      : new LocalGenerator(
          new LocalModel({
            ...common,
            create: (memoryLimitBytes) =>
              createGenerator(settings, path, { emit, memoryLimitBytes, graphDir }),
          }),
        );
  }
}

/** When a model is loaded and unloaded is not a property of its process. */
function keyOf({ settings, path }: WantedModel): string {
  const { load: _, keepAliveMs: __, ...rest } = settings;
  return JSON.stringify({ ...rest, path, file: fileSignature(path) });
}

/** What the memory that a model may come to take depends on. */
export function estimateQuestion(settings: EngineConfig, path: string): EstimateQuestion {
  const { slots, contextTokens, prefixCacheBytes, batchTokens, precision } = settings;
  const kind = isEncoder(settings, path) ? 'encoder' : 'generator';
  const speculation = settings.speculation === 'auto';
  const integers = precision === 'auto';
  return { kind, path, slots, contextTokens, prefixCacheBytes, speculation, batchTokens, integers };
}

/** Reads a file once for as long as it stays the same. */
function estimator(settings: EngineConfig, path: string): () => Promise<MemoryEstimate | undefined> {
  let known:
    | { readonly signature: string | undefined; readonly estimate: MemoryEstimate | undefined }
    | undefined;
  return async () => {
    const signature = fileSignature(path);
    if (known === undefined || known.signature !== signature)
      known = { signature, estimate: await estimateMemory(estimateQuestion(settings, path)) };
    return known.estimate;
  };
}
